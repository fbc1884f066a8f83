/**
 * `bench baseline add FOLDER..` keeps sessions of an unchanged server to judge later ones against; `bench baseline list` says what is
 * kept, and whether that is enough to judge by.
 */
import { BenchError, EXIT, type ExitCode } from '../errors.ts';
import { LEAST_SESSIONS } from '../gate/against-sessions.ts';
import { armFactsOf } from '../gate/arm-facts.ts';
import { plural } from '../report/numbers.ts';
import { plainText } from '../report/terminal.ts';
import { addSession, BASELINES_FOLDER, listBaselines } from '../result/baseline-file.ts';
import { readResult } from '../result/read.ts';
import type { CommandIo } from './io.ts';

export function baselineAdd(results: readonly string[], folder: string | undefined, { stdout }: CommandIo): ExitCode {
  for (const path of results) {
    const result = readResult(path);
    const { fingerprint } = armFactsOf(result, null);
    const added = addSession(result, fingerprint, folder ?? BASELINES_FOLDER);
    const missing = LEAST_SESSIONS - added.sessions;
    const more = missing > 0 ? `; ${missing} more ${missing === 1 ? 'is' : 'are'} needed to judge by` : '';
    stdout.write(`kept in ${added.path}: ${plural(added.sessions, 'session')}${more}\n`);
  }
  return EXIT.done;
}

export function baselineList(folder: string | undefined, { stdout }: CommandIo): ExitCode {
  const kept = listBaselines(folder ?? BASELINES_FOLDER);
  if (kept.length === 0) {
    throw new BenchError('USAGE', `no baselines are kept in ${folder ?? BASELINES_FOLDER}`, {
      hint: `measure an unchanged server ${LEAST_SESSIONS} times, on different days if it can be, and keep each: bench baseline add FOLDER`,
    });
  }
  for (const { path, file, why } of kept) {
    if (file === null) {
      stdout.write(`${path}\n  ${plainText(why ?? 'it cannot be read')}\n`);
      continue;
    }
    const { sessions, machine } = file;
    const enough = sessions.length >= LEAST_SESSIONS ? 'enough to judge by' : `of ${LEAST_SESSIONS} that are needed`;
    const device = machine.gpu === null ? '' : `, ${machine.gpu}`;
    stdout.write(
      `${path}\n  ${plainText(file.scenario)} on ${plainText(`${machine.cpu}${device}`)}: ${plural(sessions.length, 'session')}, ${enough}\n`,
    );
    for (const { session, createdAt, server, runs } of sessions) {
      const count = Object.values(runs).reduce((sum, of) => sum + of.length, 0);
      stdout.write(
        `    ${session}  ${createdAt.slice(0, 16).replace('T', ' ')}  ${plural(count, 'run')}  ${plainText(server)}\n`,
      );
    }
  }
  return EXIT.done;
}
