/** What a reader must know of an engine that was told to be slower than it is (engine/EXTENSIONS.md, "Injected delay"). */
import type { TargetInfo } from '../result/schema.ts';

/** null where the server says nothing of the kind. */
export function injectedDelayWords({ id, server }: TargetInfo): string | null {
  const delay = server['injectDelay'];
  if (typeof delay !== 'object' || delay === null) return null;
  const parts = Object.entries(delay).flatMap(([metric, by]) => (by === null ? [] : [`${metric} by ${String(by)}`]));
  return `NO MEASUREMENT OF THE SERVER: ${id} was started with --inject-delay and answers later than it could, ${parts.join(' and ')}`;
}
