import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type ParsedFlags, parseFlags, type ServeSettings } from '../../engine/flags.ts';

const settings = async (...argv: string[]): Promise<ServeSettings> => {
  const parsed = await parseFlags(argv, {});
  if ('show' in parsed) throw new Error(parsed.show);
  return parsed.settings;
};

describe('--inject-delay', () => {
  it('is read for each of the two times', async () => {
    const { injectDelay, loras } = await settings(
      '--inject-delay',
      'ttft=8%',
      '--lora',
      'a=x',
      '--inject-delay',
      'itl=2ms',
    );
    expect(injectDelay).toEqual({
      ttft: { text: '8%', share: 0.08, nanoseconds: 0 },
      itl: { text: '2ms', share: 0, nanoseconds: 2e6 },
    });
    expect(loras).toHaveLength(1);
  });

  it('refuses what is no delay, and says what is', async () => {
    const refused = settings('--inject-delay', 'tpot=8%');
    await expect(refused).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringContaining('--inject-delay: "tpot=8%" is not a delay; expected ttft=8%'),
    });
    await expect(settings('--inject-delay', 'itl=1%', '--inject-delay', 'itl=2%')).rejects.toThrow(
      'itl is given twice',
    );
  });
});

describe('parseFlags', () => {
  it('has defaults for everything', async () => {
    expect(await parseFlags([], {})).toEqual({
      probe: null,
      settings: {
        config: {
          model: 'llama-3-8b',
          servedModelName: null,
          weights: 'f16',
          seed: 1,
          device: 'auto',
          maxModelLen: null,
          maxNumSeqs: null,
          maxNumBatchedTokens: null,
          maxGpuLoras: 32,
          maxCpuLoras: 64,
          maxLoraRank: 64,
          gpuMemory: null,
          batchInvariant: false,
          merge: null,
          kernels: 'auto',
          profile: false,
          validate: false,
        },
        host: '127.0.0.1',
        port: 8000,
        loras: [],
        store: null,
        injectDelay: null,
      },
    } satisfies ParsedFlags);
  });

  it('reads every flag', async () => {
    const argv =
      '--model llama-3-8b@1/8 --weights f16 --seed 7 --host 0.0.0.0 --port 0 --device swiftshader --max-model-len 512 --max-num-seqs 16 --max-num-batched-tokens 64 --served-model-name llama --max-gpu-loras 8 --max-cpu-loras 12 --max-lora-rank 16 --gpu-memory 1.5GiB --batch-invariant --kernels gemv,flash --profile --validate --lora a=synthetic:rank=16,seed=1 --lora b=adapters/b --peft-source store --refresh 0.5';
    expect(await settings(...argv.split(' '))).toEqual({
      config: {
        model: 'llama-3-8b@1/8',
        servedModelName: 'llama',
        weights: 'f16',
        seed: 7,
        device: 'swiftshader',
        maxModelLen: 512,
        maxNumSeqs: 16,
        maxNumBatchedTokens: 64,
        maxGpuLoras: 8,
        maxCpuLoras: 12,
        maxLoraRank: 16,
        gpuMemory: 1.5 * 2 ** 30,
        batchInvariant: true,
        merge: null,
        kernels: ['gemv', 'flash'],
        profile: true,
        validate: true,
      },
      host: '0.0.0.0',
      port: 0,
      loras: [
        { name: 'a', path: 'synthetic:rank=16,seed=1' },
        { name: 'b', path: resolve('adapters/b') },
      ],
      store: { folder: resolve('store'), refreshSeconds: 0.5 },
      injectDelay: null,
    });
  });

  it("takes NIM's variables where the flag is absent", async () => {
    const nim = {
      NIM_PEFT_SOURCE: '/adapters',
      NIM_PEFT_REFRESH_INTERVAL: '30',
      NIM_MAX_GPU_LORAS: '4',
      NIM_MAX_CPU_LORAS: '16',
      NIM_MAX_LORA_RANK: '32',
    };
    const parsed = await parseFlags(['--max-gpu-loras', '2'], nim);
    expect(parsed).toMatchObject({
      settings: {
        config: { maxGpuLoras: 2, maxCpuLoras: 16, maxLoraRank: 32 },
        store: { folder: '/adapters', refreshSeconds: 30 },
      },
    });
  });

  it.each([
    ['NIM_MAX_GPU_LORAS', 'many', /NIM_MAX_GPU_LORAS: expected a whole number of at least 0/],
    ['NIM_MAX_LORA_RANK', '0', /NIM_MAX_LORA_RANK: expected a whole number of at least 1/],
    ['NIM_PEFT_REFRESH_INTERVAL', '-1', /NIM_PEFT_REFRESH_INTERVAL: expected seconds, 0 or more/],
  ])('names the variable %s when it refuses "%s"', async (variable, value, message) => {
    const environment = { NIM_PEFT_SOURCE: '/adapters', [variable]: value };
    await expect(parseFlags([], environment)).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringMatching(message),
    });
  });

  it('gives a merged engine no slots, and no store from the environment', async () => {
    const parsed = await parseFlags(['--merge-lora', 'math=adapters/math'], { NIM_PEFT_SOURCE: '/adapters' });
    expect(parsed).toMatchObject({
      settings: { config: { maxGpuLoras: 0, merge: { name: 'math', path: resolve('adapters/math') } }, store: null },
    });
  });

  it('refuses kernels that it does not know, and says which there are', async () => {
    await expect(parseFlags(['--kernels', 'gemv,quick'])).rejects.toThrow(
      '--kernels: "quick" is not known; accepted: auto, portable, fast, or some of gemv,split-k',
    );
  });

  it('sees --ceilings', async () => {
    expect(await parseFlags(['--ceilings'])).toMatchObject({ probe: 'ceilings' });
  });

  it('sees --probe', async () => {
    expect(await parseFlags(['--probe', '--device', 'llvmpipe'])).toMatchObject({ probe: 'device' });
  });

  it.each([['--help'], ['--version']])('gives the text of %s', async (flag) => {
    const parsed = await parseFlags([flag]);
    expect('show' in parsed && parsed.show).toMatch(flag === '--help' ? /--max-gpu-loras/ : /^\d+\.\d+\.\d+$/);
  });

  it.each<[string[], RegExp]>([
    [['--model', 'gpt-2'], /unknown model "gpt-2"; expected a Hugging Face folder or one of llama-3-8b/],
    [['--model', 'llama-3-8b@1/3'], /3 does not divide.*llama-3-8b@1\/8/],
    [['--weights', 'int3'], /"int3" is not supported; accepted: f16, int8, int4/],
    [['--port', '70000'], /--port: expected a whole number from 0 to 65535/],
    [['--port', 'http'], /--port: expected a whole number/],
    [['--max-num-seqs', '0'], /--max-num-seqs: expected a whole number of at least 1/],
    [['--gpu-memory', '70'], /--gpu-memory: "70" is not a size.*GiB/],
    [['--gpu-memory', '0GiB'], /is not a size/],
    [['--device', 'cuda'], /cuda/],
    [['--lora', 'synthetic:rank'], /NAME=PATH/],
    [['--lora', 'a=x', '--lora', 'a=y'], /"a" is given twice/],
    [['--maxgpu', '3'], /maxgpu/],
    [['--model', './no/such/folder'], /--model: .*no\/such\/folder: there is no such folder/],
    [['--max-cpu-loras', '0'], /--max-cpu-loras: expected a whole number of at least 1/],
    [['--merge-lora', 'math'], /--merge-lora: "math" is not NAME=PATH/],
    [['--merge-lora', 'a=x', '--lora', 'b=y'], /no base model to put adapters on; leave out --lora/],
    [['--merge-lora', 'a=x', '--peft-source', 'y'], /leave out --peft-source/],
    [['--refresh', '3'], /--refresh is for --peft-source/],
    [['--peft-source', 'x', '--refresh', 'often'], /--refresh: expected seconds/],
    [['--peft-source', 'http://store/v1'], /is a URL; expected a folder/],
    [['--model'], /model/],
    [['extra'], /extra/],
    [['--host', 'a', '--host', 'b'], /--host is given more than once/],
  ])('refuses %j', async (argv, message) => {
    await expect(parseFlags(argv, {})).rejects.toMatchObject({
      code: 'usage',
      exitCode: 2,
      message: expect.stringMatching(message),
    });
  });
});
