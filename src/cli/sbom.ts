/** `wabun sbom`: what this program consists of. */
import { sbomText } from '../../build/sbom'
import lockfile from '../../bun.lock' with { type: 'text' }
import product from '../../package.json'
import { printWhole } from './print'

/** Prints the bill of materials, CycloneDX 1.6. */
export async function printSbom(): Promise<number> {
  // Bun's types take every bun.lock for its parsed content; imported as text it is text.
  await printWhole(sbomText(product, lockfile as unknown as string))
  return 0
}
