/**
 * Which tokenizer counts a model's tokens, as far as names tell. The harness has one, Llama 3's: prompts made with it have
 * exactly the tokens asked for only where the model uses it too.
 */
import { PRESETS } from '../../engine/models/geometry.ts';

/** "Meta-Llama-3.1-8B" and "llama3:8b", but not "codellama-34b", "llama-30b" or OpenLLaMA's "open-llama-3b". */
const LLAMA_3 = /(^|[^a-z])llama-?3(?!\d|b)/i;

/** A model of that name uses Llama 3's tokenizer. */
export const isLlama3 = (model: string): boolean => LLAMA_3.test(model);

/** Presets that `target.tokenizer` may name. The others have the geometry of their model only, and no tokenizer. */
export const TOKENIZER_PRESETS: readonly string[] = Object.keys(PRESETS).filter(isLlama3);

/**
 * The tokenizer is known to be the model's: by the scenario, which names one, or by the model's name. Where it is not, its
 * counts are estimates, and the server's `usage` is the truth.
 */
export const knowsTokenizer = (named: string | null, model: string): boolean => named !== null || isLlama3(model);
