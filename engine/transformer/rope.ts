/**
 * Rotation angles, computed in double precision here: WGSL's sin and cos are only bound to 2^-11, and only near zero.
 * Frequencies after Su et al. 2021; scaling after Llama 3.1's published code (low frequencies divided by `factor`, high
 * ones kept, a linear blend between).
 */
import type { Geometry } from '../models/geometry.ts';

/** Radians a position for each of the headDim / 2 pairs. */
export function frequencies(g: Geometry): number[] {
  return Array.from({ length: g.headDim / 2 }, (_, i) => {
    const frequency = g.ropeTheta ** (-(2 * i) / g.headDim);
    if (!g.ropeScaling) return frequency;
    const { factor, lowFreqFactor, highFreqFactor, originalMaxPosition } = g.ropeScaling;
    const wavelength = (2 * Math.PI) / frequency;
    if (wavelength < originalMaxPosition / highFreqFactor) return frequency;
    if (wavelength > originalMaxPosition / lowFreqFactor) return frequency / factor;
    const blend = (originalMaxPosition / wavelength - lowFreqFactor) / (highFreqFactor - lowFreqFactor);
    return ((1 - blend) * frequency) / factor + blend * frequency;
  });
}

/** (cos, sin) [positions][headDim / 2][2] */
export function angleTable(g: Geometry, positions: number): Float32Array<ArrayBuffer> {
  const speed = frequencies(g);
  const table = new Float32Array(positions * g.headDim);
  for (let position = 0; position < positions; position++) {
    speed.forEach((radians, i) => {
      const at = 2 * (position * speed.length + i);
      table[at] = Math.cos(position * radians);
      table[at + 1] = Math.sin(position * radians);
    });
  }
  return table;
}
