/**
 * The engine's server process: started by main.ts with the device's environment set, told its settings over IPC.
 *
 * Brings up the core, loads the adapters that were named and those of the store, then listens, and prints the ready line. Ends with exit code 0
 * on SIGTERM or SIGINT, 5 when the device is lost, and at once when the launcher is gone. Always leaves by process.exit:
 * an open device would otherwise keep the process alive.
 */
import { createServer } from 'node:net';
import { announce, announceFailure, PROTOCOL, tell } from './announce.ts';
import type { EngineCore } from './core.ts';
import type { ChosenDevice } from './device/choose.ts';
import { EngineError } from './errors.ts';
import type { ServeSettings } from './flags.ts';
import { baseName } from './http/base-name.ts';
import { createHttpServer, type HttpServer, listenError } from './http/server.ts';
import { told } from './inject-delay.ts';
import { AdapterStore } from './lora/store.ts';
import { findModel } from './models/find-model.ts';
import { loadTokenizer } from './models/tokenizer.ts';
import { asUsage } from './transformer/as-usage.ts';
import { startCore } from './worker/client.ts';

/** Time that answers in progress have to end once the process is asked to stop. */
const CLOSE_GRACE_MS = 5_000;

let running: { core: EngineCore; server: HttpServer; store: AdapterStore | null } | null = null;
let stopping = false;

async function serve(settings: ServeSettings, device: ChosenDevice): Promise<void> {
  const { config, host, port, loras, injectDelay } = settings;
  await assertPortFree(host, port);
  const tokenizerOf = async () => loadTokenizer(await findModel(config.model, config.servedModelName));
  const [core, tokenizer] = await Promise.all([startCore(config, device, tell), asUsage(tokenizerOf)]);
  const died = (why: string) => {
    if (stopping) return;
    const code = announceFailure(new EngineError('device_lost', why));
    setImmediate(() => process.exit(code)); // the requests in progress were just told, and that is written first
  };
  core.died.then(died, (error: unknown) => died(String(error)));

  for (const { name, path } of loras) {
    const error = await core.loadAdapter(name, path);
    if (error !== null) {
      throw new EngineError(error.code === 'no_slot' ? 'too_big' : 'usage', `--lora ${name}=${path}: ${error.message}`);
    }
  }
  const store = settings.store && new AdapterStore(core, settings.store, tell);
  await store?.start();
  const server = createHttpServer({ core, tokenizer, injectDelay, log: tell });
  const url = await server.listen(host, port);
  running = { core, server, store };
  if (injectDelay !== null) {
    const { ttft, itl } = injectDelay;
    tell(
      `--inject-delay: later than it could, by ttft ${ttft?.text ?? 'nothing'}, itl ${itl?.text ?? 'nothing'}; its times are no measurement`,
    );
  }

  const { geometry, merged, ...info } = core.info;
  announce({
    ready: true,
    protocol: PROTOCOL,
    url,
    pid: process.pid,
    model: baseName(core.info),
    merged,
    standIn: geometry.standIn,
    geometry,
    ...info,
    injectDelay: told(injectDelay),
    adapters: core
      .adapters()
      .map(({ name, path, kind, format, rank, tier }) => ({ name, path, kind, format, rank, tier })),
  });
}

/** Fails before minutes of loading where the port is taken. Port 0 never is. */
function assertPortFree(host: string, port: number): Promise<void> {
  if (port === 0) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const trial = createServer();
    trial.once('error', (error) => reject(listenError(error, host, port)));
    trial.listen({ host, port }, () => trial.close(() => resolve()));
  });
}

async function stop(): Promise<void> {
  if (stopping) return;
  stopping = true;
  setTimeout(() => process.exit(0), CLOSE_GRACE_MS);
  if (running !== null) {
    running.store?.stop();
    const closed = running.server.close(); // stops accepting now
    await running.core.close(); // ends what is in progress, each with its error
    await closed;
  }
  process.exit(0);
}

const fail = (error: unknown): never => process.exit(announceFailure(error));

process.on('uncaughtException', fail);
process.on('unhandledRejection', fail);
process.on('SIGTERM', () => void stop().catch(fail));
process.on('SIGINT', () => void stop().catch(fail));
if (process.channel) {
  // The launcher is gone: nobody hears an exit code, nobody could stop this process, and an orderly exit waits for a
  // device thread that may be inside a driver for long.
  process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));
  process.once('message', (message: { settings: ServeSettings; device: ChosenDevice }) => {
    serve(message.settings, message.device).catch(fail);
  });
} else {
  fail(new EngineError('usage', 'this file is started by the launcher', { hint: 'run main.js, or bench serve' }));
}
