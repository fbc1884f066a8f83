/** A model as an endpoint serves it. */
export interface EndpointModel {
  /** As a request names it. */
  name: string;
  /** Its own adapters, in the server's order: another model's would not answer for it. */
  adapters: string[];
}

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
      /** The models to measure, in order; the scenario's own where it names any. */
      models: EndpointModel[];
      /** Cells with more adapters than there are names are left out, with a warning, instead of refusing the plan. */
      allowFewer: boolean;
    };
