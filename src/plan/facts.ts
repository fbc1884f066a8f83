/** What a plan needs to know of the target beyond the scenario; found out by whoever starts or probes it. */
export type TargetFacts =
  | {
      kind: 'engine';
      /** The device computes on the CPU. */
      software: boolean;
      deviceName: string;
    }
  | {
      kind: 'endpoint';
      /** The base model's name at the server; stands where the scenario names none or one. */
      model: string;
      /** Adapters the server shows for it, or those of --adapters, in order. */
      adapters: string[];
      /** Cells with more adapters than there are names are left out, with a warning, instead of refusing the plan. */
      allowFewer: boolean;
    };
