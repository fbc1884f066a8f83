/** The name by which requests name the base model: the merged adapter's where one was folded into the weights. */
import type { EngineInfo } from '../core.ts';

export const baseName = ({ geometry, merged }: Pick<EngineInfo, 'geometry' | 'merged'>): string =>
  merged?.name ?? geometry.name;
