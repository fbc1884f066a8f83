/** What scripts of the page find there: vega with its interpreter, which the report ships before them. */
declare const vega: typeof import('vega') & { expressionInterpreter: unknown };
