/**
 * A `.nemo` archive -> its configuration's text and its checkpoints, by the parallel rank that wrote each.
 *
 * Layout: nemo/core/connectors/save_restore_connector.py and inject_model_parallel_rank() of nemo/utils/model_utils.py.
 */
import type { ByteSource } from '../tensor-files/byte-source.ts';
import { FileError } from '../tensor-files/file-error.ts';
import { quoted, told } from '../tensor-files/problems.ts';
import { openTar } from '../tensor-files/tar-archive.ts';
import type { TensorFile } from '../tensor-files/tensor.ts';
import { openTorchFile } from '../tensor-files/torch-file.ts';

const CONFIG = 'model_config.yaml';
const WEIGHTS = 'model_weights.ckpt';
/** Real ones have some 10,000. */
const CONFIG_BYTES = 1_000_000;
/** Tensor-parallel ranks times pipeline stages. */
const RANKS = 1024;

export interface NemoArchive {
  configText: string;
  tensorParallel: number;
  pipelineParallel: number;
  /** [pipeline stage][tensor-parallel rank] */
  stages: TensorFile[][];
}

/** @throws FileError when the archive or one of its checkpoints cannot be read */
export async function openNemoArchive(source: ByteSource): Promise<NemoArchive> {
  const magic = await source.read(0, Math.min(2, source.bytes));
  if (magic[0] === 0x1f && magic[1] === 0x8b) {
    throw new FileError(source.path, 'expected an uncompressed tar, found gzip: unpack it with gunzip first');
  }
  const files = await openTar(source);
  const config = files.get(CONFIG);
  if (!config) throw new FileError(source.path, `expected ${CONFIG} in the archive, found ${listed(files)}`);
  if (config.bytes > CONFIG_BYTES) {
    throw new FileError(source.path, `${CONFIG}: expected at most ${CONFIG_BYTES} bytes, found ${config.bytes}`);
  }
  const { grid, tensorParallel, pipelineParallel } = checkpointsOf(source.path, files);
  const configText = Buffer.from(await config.read(0, config.bytes)).toString();
  const stages: TensorFile[][] = [];
  for (const entries of grid) {
    const ranks: TensorFile[] = [];
    for (const entry of entries) ranks.push(await openTorchFile(entry));
    stages.push(ranks);
  }
  return { configText, tensorParallel, pipelineParallel, stages };
}

function checkpointsOf(path: string, files: ReadonlyMap<string, ByteSource>) {
  const found = new Map<string, ByteSource>();
  let tensorParallel = 0;
  let pipelineParallel = 0;
  for (const [name, entry] of files) {
    const rank = rankOf(name);
    if (!rank) continue;
    const [tensor, pipeline] = rank;
    const key = `${pipeline}/${tensor}`;
    if (found.has(key)) throw new FileError(path, `two checkpoints are of rank ${tensor}, stage ${pipeline}`);
    found.set(key, entry);
    tensorParallel = Math.max(tensorParallel, tensor + 1);
    pipelineParallel = Math.max(pipelineParallel, pipeline + 1);
  }
  if (found.size === 0) throw new FileError(path, noWeights(files));
  if (tensorParallel * pipelineParallel > RANKS) {
    const named = `${tensorParallel} tensor-parallel ranks x ${pipelineParallel} pipeline stages`;
    throw new FileError(path, `expected checkpoints of at most ${RANKS} ranks, found names of ${named}`);
  }
  const grid = Array.from({ length: pipelineParallel }, (_, pipeline) =>
    Array.from({ length: tensorParallel }, (_, tensor) => found.get(`${pipeline}/${tensor}`)),
  );
  const missing = grid.flatMap((ranks, pipeline) =>
    ranks.flatMap((entry, tensor) =>
      entry ? [] : `expected the checkpoint of tensor-parallel rank ${tensor}, pipeline stage ${pipeline}, found none`,
    ),
  );
  if (missing.length > 0) throw new FileError(path, told(missing));
  return { grid: grid as ByteSource[][], tensorParallel, pipelineParallel };
}

/** [tensor-parallel rank, pipeline stage] of a checkpoint's name; null for other files. */
function rankOf(name: string): [number, number] | null {
  if (name === WEIGHTS) return [0, 0];
  const match = /^(?:mp_rank_(\d{2,4})|tp_rank_(\d{2,4})_pp_rank_(\d{3,4}))\/model_weights\.ckpt$/.exec(name);
  if (!match) return null;
  return [Number(match[1] ?? match[2]), Number(match[3] ?? 0)];
}

const listed = (files: ReadonlyMap<string, ByteSource>): string => {
  const names = [...files.keys()].slice(0, 5).map(quoted).join(', ');
  return files.size > 5 ? `${names} and ${files.size - 5} more` : names;
};

function noWeights(files: ReadonlyMap<string, ByteSource>): string {
  const distributed = [...files.keys()].some((name) => name.startsWith('model_weights/'));
  const found = distributed
    ? 'a distributed checkpoint (model_weights/): save it again with "dist_ckpt_format" unset, or export it to hf-peft'
    : listed(files);
  return `expected ${WEIGHTS}, or mp_rank_*/${WEIGHTS}, in the archive, found ${found}`;
}
