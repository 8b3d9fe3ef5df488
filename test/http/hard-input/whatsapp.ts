/** X6, the part of WhatsApp: what comes over its own wire is tried there, over real Noise and Signal. */
import { type HardRow, proved } from './row'

export const WHATSAPP_ROWS: readonly HardRow[] = [
  proved(97, 'a handshake that is none', 'whatsapp/hostile-wire', '97: a handshake'),
  proved(98, 'frames that are none', 'whatsapp/hostile-wire', '98: a frame'),
  proved(
    99,
    'protobuf bombs',
    'whatsapp/hostile',
    'a million wrappers, and bytes that are no message at all',
  ),
  proved(
    100,
    'what only our own devices may say',
    'whatsapp/hostile',
    'what belongs to our own devices alone',
  ),
  proved(101, 'ids and names', 'whatsapp/hostile', 'with an id %s are refused'),
  proved(102, 'moments', 'whatsapp/hostile', 'of the moment %s came now'),
  proved(103, 'files', 'journeys/media-trouble-in', '%s %j: is told as %s, leaves nothing'),
  proved(104, 'ends of a stream', 'journeys/faults', 'each disconnect code'),
  proved(105, 'linking to somebody else', 'whatsapp/hostile-wire', '105: a device is linked'),
]
