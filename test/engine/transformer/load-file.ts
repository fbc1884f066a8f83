/** An adapter's file onto the device at once, as residency does it in slices: for tests that drive the model by hand. */
import { readAdapter } from '../../../engine/adapter-files/read-adapter.ts';
import { packAdapter } from '../../../engine/lora/pack.ts';
import type { Model } from '../../../engine/transformer/model.ts';

export async function loadFile(model: Model, name: string, path: string): Promise<void> {
  const file = await readAdapter(path, model.geometry);
  try {
    const packed = await packAdapter(file, model.geometry);
    const hasColumns = packed.layers.some(({ columns, magnitude }) => columns !== null || magnitude !== null);
    const place = model.slots.add(name, path, packed.rank, packed.scale, hasColumns);
    if (!place) throw new Error(`no slot for ${name}`);
    for (const _ of model.pools.upload(place, packed));
  } finally {
    await file.close();
  }
}
