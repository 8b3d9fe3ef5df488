/**
 * Places at which a test may end the process: the moments between two facts that a crash could tear apart.
 *
 * Nothing happens at them unless a program of the tests, loaded before the product, has called `armFaultPoints`. No
 * variable, flag or request reaches it, and the built program has nothing that calls it.
 */

export const FAULT_POINTS = [
  // A message on its way in.
  'stanza read',
  'stanza journalled',
  'ratchet and plaintext committed',
  'message emitted',
  'message stored',
  'delivery stored',
  'webhook answered',
  // A message on its way out.
  'send accepted',
  'commit before the wire',
  'frame written',
  'acknowledgement arrived',
  'sent committed',
  // Its file.
  'file uploaded',
  'file attached',
] as const

export type FaultPoint = (typeof FAULT_POINTS)[number]

let armed: ((point: FaultPoint) => void) | null = null

/** Here a crash would come between two facts. */
export const faultPoint = (point: FaultPoint): void => armed?.(point)

/** From now on `onPass` is called at every passing of every point. Only for tests. */
export function armFaultPoints(onPass: (point: FaultPoint) => void): void {
  armed = onPass
}
