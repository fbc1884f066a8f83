/**
 * The sweep: the product of a scenario's axes, as cells. In the order of the axes in the file format, the model outermost,
 * so that a server starts once for each model. A count of 0 adapters is the base model alone, and is there once however
 * many ranks or popularities are swept; an adapter in the weights is there once however many residencies are.
 */
import { type Geometry, geometryOf, isGeometry } from '../../engine/models/geometry.ts';
import type { WeightFormat } from '../../engine/models/weight-formats.ts';
import { BenchError } from '../errors.ts';
import type { Control, Kinds, Popularity, Rank, Residency, Scenario, ScenarioWorkload } from '../scenario/scenario.ts';
import { endpointAdapters, engineAdapters, isShortage, type Shortage } from './adapters.ts';
import type { EndpointModel, TargetFacts } from './facts.ts';
import { kindLabel, modulesLabel, popularityLabel, rankLabel } from './labels.ts';
import type { At, Cell, Load, PlannedAdapter, PromptFile } from './plan.ts';
import { meanRate, sentBy } from './prompts-of.ts';

/** A point on all the adapter axes; null is the base model alone. */
interface AdapterPoint {
  rank: Rank | null;
  count: number;
  popularity: Popularity;
  baseShare: number;
  kind: Kinds;
  mode: 'dynamic' | 'merged';
  residency: Residency | null;
}

export interface Sweep {
  cells: Cell[];
  /** Points that an endpoint has too few adapters for; their cells are not in `cells`. */
  shortages: Shortage[];
}

export function sweepOf(scenario: Scenario, facts: TargetFacts): Sweep {
  const cells: Cell[] = [];
  const shortages: Shortage[] = [];
  for (const server of serversOf(scenario, facts)) {
    const { model, weights } = server;
    const file = promptFileFor(scenario, facts, model);
    const loads = loadsOf(scenario, file);
    for (const point of adapterPoints(scenario)) {
      const adapters = adaptersAt(point, scenario, server);
      if (isShortage(adapters)) {
        shortages.push(adapters);
        continue;
      }
      for (const workload of scenario.workloads) {
        for (const control of scenario.controls) {
          for (const load of loads) {
            const id = `c${cells.length + 1}`;
            cells.push(cellOf({ id, scenario, model, weights, point, adapters, workload, control, load, file }));
          }
        }
      }
    }
  }
  return { cells, shortages };
}

/** What is started or asked: a model, and where its adapters come from, which is its geometry or the endpoint's own. */
type Server = { model: string; weights: WeightFormat | null } & (
  | { kind: 'engine'; geometry: Geometry }
  | { kind: 'endpoint'; served: EndpointModel }
);

/** Every server in turn: each model in each format of its weights. */
function serversOf(scenario: Scenario, facts: TargetFacts): Server[] {
  if (facts.kind === 'endpoint') {
    return facts.models.map((served) => ({ kind: 'endpoint', model: served.name, weights: null, served }));
  }
  return scenario.models.flatMap((text) => {
    const geometry = facts.folders?.[text]?.geometry ?? geometryOf(text);
    if (!isGeometry(geometry)) {
      throw new BenchError('PLAN_INVALID', `${geometry.message}; accepted: ${geometry.accepted.join(', ')}`);
    }
    return scenario.weights.map((weights) => ({ kind: 'engine' as const, model: geometry.name, weights, geometry }));
  });
}

function adapterPoints(scenario: Scenario): (AdapterPoint | null)[] {
  const axes = scenario.adapters;
  if (axes === null) return [null];
  const points: (AdapterPoint | null)[] = [];
  const ranks: (Rank | null)[] = axes.ranks.length > 0 ? axes.ranks : [null];
  for (const rank of ranks) {
    for (const count of axes.counts) {
      if (count === 0) {
        if (!points.includes(null)) points.push(null);
        continue;
      }
      for (const popularity of axes.popularities) {
        for (const baseShare of axes.baseShares) {
          for (const kind of axes.kinds) {
            for (const mode of axes.modes) {
              for (const residency of residenciesFor(mode, axes.residencies)) {
                points.push({ rank, count, popularity, baseShare, kind, mode, residency });
              }
            }
          }
        }
      }
    }
  }
  return points;
}

const residenciesFor = (mode: AdapterPoint['mode'], all: readonly Residency[]): (Residency | null)[] =>
  mode === 'merged' || all.length === 0 ? [null] : [...all];

function adaptersAt(point: AdapterPoint | null, scenario: Scenario, server: Server) {
  if (point === null) return [];
  if (server.kind === 'endpoint') return endpointAdapters(scenario, server.served, point.rank, point.count);
  if (point.rank === null) throw new TypeError('an engine cell without rank passed validation');
  return engineAdapters(point.rank, point.kind, point.count, server.geometry);
}

function promptFileFor({ promptFile }: Scenario, { promptFiles }: TargetFacts, model: string): PromptFile | null {
  if (promptFile === null) return null;
  const file = promptFiles?.[model];
  if (file === undefined) throw new TypeError(`${promptFile.path} was not read for ${model}`);
  return file;
}

function loadsOf({ load }: Scenario, file: PromptFile | null): Load[] {
  switch (load.kind) {
    case 'closed':
      return load.concurrencies.map((concurrency) => ({ kind: 'closed', concurrency }));
    case 'open':
      return load.rates.map((rate) => ({ kind: 'open', rate, arrivals: load.arrivals }));
    case 'trace':
      return [{ kind: 'open', rate: meanRate(file, load.speed), arrivals: 'trace', speed: load.speed }];
  }
}

interface Coordinates {
  id: string;
  scenario: Scenario;
  model: string;
  weights: WeightFormat | null;
  point: AdapterPoint | null;
  adapters: PlannedAdapter[];
  workload: ScenarioWorkload;
  control: Control;
  load: Load;
  file: PromptFile | null;
}

function cellOf(coordinates: Coordinates): Cell {
  const { id, scenario, point, adapters, workload, control, load, file } = coordinates;
  const { prompt, outputLengths, measure, ...tokens } = sentBy(scenario, workload, load, file);
  return {
    id,
    at: { ...atOf(coordinates), ...tokens },
    adapters,
    modules: (point && scenario.adapters?.modules) ?? 'all',
    popularity: point?.popularity ?? { kind: 'uniform' },
    baseShare: point?.baseShare ?? 1,
    prompt,
    output: { lengths: outputLengths, control },
    load,
    measure,
    warmupPerAdapter: scenario.measure.warmupPerAdapter,
    drainMs: scenario.measure.drainMs,
    request: scenario.request,
  };
}

function atOf(coordinates: Coordinates): Omit<At, 'promptTokens' | 'outputTokens'> {
  const { scenario, model, weights, point, control, load } = coordinates;
  return {
    model,
    weights,
    rank: rankLabel(point?.rank ?? null),
    adapters: point?.count ?? 0,
    popularity: point && popularityLabel(point.popularity),
    base_share: point?.baseShare ?? 1,
    kind: point && kindLabel(point.kind),
    mode: point?.mode ?? null,
    residency: point?.residency ?? null,
    modules: point && modulesLabel(scenario.adapters?.modules ?? 'all'),
    control,
    concurrency: load.kind === 'closed' ? load.concurrency : null,
    rate: load.kind === 'open' ? load.rate : null,
    arrivals: load.kind === 'open' ? load.arrivals : null,
  };
}
