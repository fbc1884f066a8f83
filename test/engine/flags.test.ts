import { describe, expect, it } from 'vitest';
import { type ParsedFlags, parseFlags, type ServeSettings } from '../../engine/flags.ts';

const settings = async (...argv: string[]): Promise<ServeSettings> => {
  const parsed = await parseFlags(argv);
  if ('show' in parsed) throw new Error(parsed.show);
  return parsed.settings;
};

describe('parseFlags', () => {
  it('has defaults for everything', async () => {
    expect(await parseFlags([])).toEqual({
      probe: false,
      settings: {
        config: {
          model: 'llama-3-8b',
          weights: 'f16',
          seed: 1,
          device: 'auto',
          maxModelLen: null,
          maxNumSeqs: null,
          maxNumBatchedTokens: null,
          maxGpuLoras: 32,
          maxLoraRank: 64,
          gpuMemory: null,
          batchInvariant: false,
          validate: false,
        },
        host: '127.0.0.1',
        port: 8000,
        loras: [],
      },
    } satisfies ParsedFlags);
  });

  it('reads every flag', async () => {
    const argv =
      '--model llama-3-8b@1/8 --weights f16 --seed 7 --host 0.0.0.0 --port 0 --device swiftshader --max-model-len 512 --max-num-seqs 16 --max-num-batched-tokens 64 --max-gpu-loras 8 --max-lora-rank 16 --gpu-memory 1.5GiB --batch-invariant --validate --lora a=synthetic:rank=16,seed=1 --lora b=synthetic:rank=8,seed=2';
    expect(await settings(...argv.split(' '))).toEqual({
      config: {
        model: 'llama-3-8b@1/8',
        weights: 'f16',
        seed: 7,
        device: 'swiftshader',
        maxModelLen: 512,
        maxNumSeqs: 16,
        maxNumBatchedTokens: 64,
        maxGpuLoras: 8,
        maxLoraRank: 16,
        gpuMemory: 1.5 * 2 ** 30,
        batchInvariant: true,
        validate: true,
      },
      host: '0.0.0.0',
      port: 0,
      loras: [
        { name: 'a', path: 'synthetic:rank=16,seed=1' },
        { name: 'b', path: 'synthetic:rank=8,seed=2' },
      ],
    });
  });

  it('sees --probe', async () => {
    expect(await parseFlags(['--probe', '--device', 'llvmpipe'])).toMatchObject({ probe: true });
  });

  it.each([['--help'], ['--version']])('gives the text of %s', async (flag) => {
    const parsed = await parseFlags([flag]);
    expect('show' in parsed && parsed.show).toMatch(flag === '--help' ? /--max-gpu-loras/ : /^\d+\.\d+\.\d+$/);
  });

  it.each<[string[], RegExp]>([
    [['--model', 'gpt-2'], /unknown model "gpt-2"; accepted: llama-3-8b/],
    [['--model', 'llama-3-8b@1/3'], /3 does not divide.*llama-3-8b@1\/8/],
    [['--weights', 'int4'], /"int4" is not supported; accepted: f16/],
    [['--port', '70000'], /--port: expected a whole number from 0 to 65535/],
    [['--port', 'http'], /--port: expected a whole number/],
    [['--max-num-seqs', '0'], /--max-num-seqs: expected a whole number of at least 1/],
    [['--gpu-memory', '70'], /--gpu-memory: "70" is not a size.*GiB/],
    [['--gpu-memory', '0GiB'], /is not a size/],
    [['--device', 'cuda'], /cuda/],
    [['--lora', 'synthetic:rank'], /NAME=PATH/],
    [['--lora', 'a=x', '--lora', 'a=y'], /"a" is given twice/],
    [['--maxgpu', '3'], /maxgpu/],
    [['--model'], /model/],
    [['extra'], /extra/],
    [['--host', 'a', '--host', 'b'], /--host is given more than once/],
  ])('refuses %j', async (argv, message) => {
    await expect(parseFlags(argv)).rejects.toMatchObject({
      code: 'usage',
      exitCode: 2,
      message: expect.stringMatching(message),
    });
  });
});
