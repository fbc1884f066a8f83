/** `/v1/completions`: the prompt is text without a chat template, and each choice carries `text`. */
import { type Dialect, fieldsOf, finishOf, textOf } from './dialect.ts';

export const completions: Dialect = {
  api: 'completions',
  path: '/completions',
  prompt: (text) => ({ prompt: text }),
  piece(value) {
    const choice = fieldsOf(value);
    return { text: textOf(choice['text']), reasoning: '', finish: finishOf(choice) };
  },
};
