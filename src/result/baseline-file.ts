/**
 * Kept sessions of an unchanged server, to judge later ones against: reports/baselines/<scenario>@<machine>.json, format
 * bench-baseline/1, small enough to be committed. In: results. Out: the file, with one more session.
 *
 * A session is the runs of one invocation, without histograms and timelines: what a verdict is made of. All sessions of a file are
 * of one plan and one machine; others are refused when they are added, since judging by them would be.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { BenchError } from '../errors.ts';
import type { Distribution, Result, RunResult } from './schema.ts';
import { makeFolder, writeWhole } from './write.ts';

export const BASELINE_FORMAT = 'bench-baseline/1';
export const BASELINES_FOLDER = join('reports', 'baselines');

export interface KeptSession {
  session: string;
  createdAt: string;
  /** Of the tool, and of the server as far as it says. */
  version: string;
  server: string;
  planHash: string;
  fingerprint: string;
  /** By cell. */
  runs: Record<string, RunResult[]>;
}

export interface BaselineFile {
  format: typeof BASELINE_FORMAT;
  scenario: string;
  machine: { id: string; cpu: string; gpu: string | null };
  sessions: KeptSession[];
}

/** "gate@1a2b3c4d.json": machines that are alike share a file. */
export const baselinePath = (scenario: string, machineId: string, folder: string = BASELINES_FOLDER): string =>
  join(folder, `${scenario}@${machineId.slice(0, 8)}.json`);

/**
 * Adds a result's session to the file of its scenario and machine, which is made if need be.
 * @throws BenchError USAGE for a result that cannot be a baseline, saying why
 */
export function addSession(
  result: Result,
  fingerprint: string,
  folder: string = BASELINES_FOLDER,
): { path: string; sessions: number } {
  const why = unfit(result);
  if (why !== null) throw new BenchError('USAGE', `session ${result.session} is no baseline: ${why}`);
  const { machine, scenario } = result;
  const path = baselinePath(scenario.name, machine.id, folder);
  const file: BaselineFile = existsSync(path)
    ? readBaseline(path)
    : {
        format: BASELINE_FORMAT,
        scenario: scenario.name,
        machine: { id: machine.id, cpu: machine.cpu, gpu: machine.gpu?.name ?? null },
        sessions: [],
      };
  const session = sessionOf(result, fingerprint);
  refuseUnlike(session, file, path);
  makeFolder(folder);
  const sessions = [...file.sessions, session].sort((a, b) => (a.createdAt < b.createdAt ? -1 : 1));
  writeWhole(path, textOf({ ...file, sessions }));
  return { path, sessions: sessions.length };
}

/** A session a line: small, and one more is one more line to whoever keeps the file in git. */
function textOf({ sessions, ...head }: BaselineFile): string {
  const lines = sessions.map((session) => `  ${JSON.stringify(session, shorter)}`);
  return `${JSON.stringify(head).slice(0, -1)},"sessions":[\n${lines.join(',\n')}\n]}\n`;
}

/** Seven digits are more than any figure is known to, and half as long. */
const shorter = (_: string, value: unknown): unknown =>
  typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(7)) : value;

function unfit({ targets, cells }: Result): string | null {
  if (targets.length !== 1) return `it has ${targets.length} targets; a session is of one server`;
  const runs = cells.flatMap((cell) => cell.runs);
  if (runs.length === 0) return 'nothing was measured in it';
  const broken = runs.find(({ state, validity }) => state !== 'done' || !validity.valid);
  if (broken === undefined) return null;
  return broken.state === 'done'
    ? `a run of it is invalid (${broken.validity.reasons.join('; ') || 'no reason is given'})`
    : `a run of it is ${broken.state}`;
}

function sessionOf(result: Result, fingerprint: string): KeptSession {
  const [target] = result.targets;
  const server = target?.server['version'] ?? target?.server['name'] ?? target?.kind ?? '';
  return {
    session: result.session,
    createdAt: result.createdAt,
    version: result.tool.version,
    server: String(server),
    planHash: result.planHash,
    fingerprint,
    runs: Object.fromEntries(result.cells.map(({ id, runs }) => [id, runs.map(slim)])),
  };
}

/** Without what no verdict reads. */
function slim(run: RunResult): RunResult {
  const { profile: _profile, slowest: _slowest, ...rest } = run;
  const metrics = Object.fromEntries(
    Object.entries(run.metrics).map(([name, metric]) => {
      if (!('hdr' in metric)) return [name, metric];
      return [name, 'p50' in metric ? figuresOnly(metric) : withoutHdr(metric)];
    }),
  );
  const timeline = { stepMs: run.timeline.stepMs, outputTokens: [], completed: [], failed: [], inFlight: [] };
  return { ...rest, metrics, perAdapter: {}, timeline, client: null };
}

/** Intervals within a run are of no use to a verdict by sessions. */
function figuresOnly({ intervals: _, ...metric }: Distribution): Distribution {
  return { ...metric, ci99: null, hdr: '' };
}

function withoutHdr<T extends { hdr?: string }>({ hdr: _, ...rest }: T): Omit<T, 'hdr'> {
  return rest;
}

function refuseUnlike(session: KeptSession, { sessions }: BaselineFile, path: string): void {
  if (sessions.some((kept) => kept.session === session.session)) {
    throw new BenchError('USAGE', `${path} has session ${session.session} already`);
  }
  const [first] = sessions;
  if (first === undefined) return;
  const differs =
    first.planHash !== session.planHash
      ? 'another plan: the load is not the same'
      : first.fingerprint !== session.fingerprint
        ? 'another machine or device'
        : null;
  if (differs === null) return;
  throw new BenchError('USAGE', `session ${session.session} cannot be added to ${path}: it is of ${differs}`, {
    hint: `begin anew: move ${path} away, or give another folder with --folder`,
  });
}

/** @throws BenchError USAGE with what is wrong with it */
export function readBaseline(path: string): BaselineFile {
  let file: Partial<BaselineFile> | null;
  try {
    file = JSON.parse(readFileSync(path, 'utf8')) as Partial<BaselineFile> | null;
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    const why = code === 'ENOENT' ? 'there is no such file' : message;
    throw new BenchError('USAGE', `cannot read the baseline ${path}: ${why}`, {
      cause,
      hint: 'bench baseline add FOLDER keeps a session; bench baseline list shows what is kept',
    });
  }
  if (file?.format !== BASELINE_FORMAT || !Array.isArray(file.sessions)) {
    throw new BenchError('USAGE', `${path} is no baseline of this version: expected the format "${BASELINE_FORMAT}"`);
  }
  const broken = file.sessions.findIndex((session) => !isWhole(session));
  if (broken < 0) return file as BaselineFile;
  throw new BenchError('USAGE', `${path} is broken: sessions[${broken}] is not as bench baseline add writes it`, {
    hint: 'take it out, or begin anew: a verdict by half of a session would be none',
  });
}

/** Whether it has what a verdict walks through. */
function isWhole(session: Partial<KeptSession> | null): session is KeptSession {
  if (!isFields(session) || !isFields(session['runs'])) return false;
  const { planHash, fingerprint, createdAt, runs } = session;
  const named = [session.session, createdAt, planHash, fingerprint].every((text) => typeof text === 'string');
  const isRun = (run: unknown) =>
    isFields(run) && ['counts', 'validity', 'metrics'].every((name) => isFields(run[name]));
  return named && Object.values(runs).every((of) => Array.isArray(of) && of.every(isRun));
}

const isFields = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

export interface ListedBaseline {
  path: string;
  /** null where it cannot be read. */
  file: BaselineFile | null;
  /** Why it cannot. */
  why: string | null;
}

/** Those in a folder; what cannot be read is told apart. */
export function listBaselines(folder: string = BASELINES_FOLDER): ListedBaseline[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => name.endsWith('.json') && name.includes('@') && !name.endsWith('.calibration.json'))
    .sort()
    .map((name) => {
      const path = join(folder, name);
      try {
        return { path, file: readBaseline(path), why: null };
      } catch (error) {
        return { path, file: null, why: (error as Error).message };
      }
    });
}
