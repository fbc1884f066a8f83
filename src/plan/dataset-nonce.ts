/**
 * Tokens that are put before each text of a dataset, so that no server's prefix cache knows it from an earlier run: seven
 * words and the end of a line (workload/dataset-prompts.ts). With another tokenizer it may be one more.
 */
export const DATASET_NONCE_TOKENS = 8;
