/**
 * `/v1/chat/completions`: the prompt is one user message, and each choice carries a `delta`.
 *
 * The first delta often has a role and nothing else; it is no content. Reasoning comes as `reasoning_content` (DeepSeek,
 * SGLang, TensorRT-LLM, llama.cpp, older vLLM) or `reasoning` (newer vLLM, OpenRouter); a tool call's name and arguments
 * are output like any text.
 */
import { type Dialect, type Fields, fieldsOf, finishOf, textOf } from './dialect.ts';

const toolText = (delta: Fields): string => {
  const calls = Array.isArray(delta['tool_calls']) ? delta['tool_calls'] : [];
  const functions = [delta['function_call'], ...calls.map((call) => fieldsOf(call)['function'])].map(fieldsOf);
  return functions.map((called) => textOf(called['name']) + textOf(called['arguments'])).join('');
};

export const chat: Dialect = {
  api: 'chat',
  path: '/chat/completions',
  prompt: (text) => ({ messages: [{ role: 'user', content: text }] }),
  piece(value) {
    const choice = fieldsOf(value);
    const delta = fieldsOf(choice['delta']);
    return {
      text: textOf(delta['content']) + textOf(delta['refusal']) + toolText(delta),
      reasoning: textOf(delta['reasoning_content']) || textOf(delta['reasoning']),
      finish: finishOf(choice),
    };
  },
};
