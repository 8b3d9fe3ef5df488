/** The two header packets of Opus in OGG (RFC 7845). */

export type OpusHead = {
  channels: number
  /** Samples at 48 kHz to leave away at the start. */
  preSkip: number
  /** By what the decoded samples are multiplied. */
  gain: number
  /** 0 = one stream of one or two channels. */
  family: number
}

/** Reads the identification header; null when it is not one, or of a major version that does not exist yet. */
export function readOpusHead(packet: Uint8Array): OpusHead | null {
  const bytes = Buffer.from(packet.buffer, packet.byteOffset, packet.byteLength)
  if (bytes.length < 19 || bytes.toString('latin1', 0, 8) !== 'OpusHead' || bytes.readUInt8(8) > 15)
    return null
  const channels = bytes.readUInt8(9)
  if (channels === 0) return null
  return {
    channels,
    preSkip: bytes.readUInt16LE(10),
    gain: 10 ** (bytes.readInt16LE(16) / (20 * 256)),
    family: bytes.readUInt8(18),
  }
}

/** The identification header of a stream of one channel. `inputRate` is only told: Opus always plays at 48 kHz. */
export function writeOpusHead(preSkip: number, inputRate: number): Uint8Array {
  const bytes = Buffer.alloc(19)
  bytes.write('OpusHead', 'latin1')
  bytes.writeUInt8(1, 8)
  bytes.writeUInt8(1, 9)
  bytes.writeUInt16LE(preSkip, 10)
  bytes.writeUInt32LE(inputRate, 12)
  return bytes
}

/** The comment header, with the name of the program and no comments. */
export function writeOpusTags(vendor: string): Uint8Array {
  const name = Buffer.from(vendor, 'utf8')
  const bytes = Buffer.alloc(16 + name.length)
  bytes.write('OpusTags', 'latin1')
  bytes.writeUInt32LE(name.length, 8)
  bytes.set(name, 12)
  return bytes
}

/** Length of a packet in samples at 48 kHz, told by its first two bytes (RFC 6716, section 3.1); 0 when malformed. */
export function opusSamples(packet: Uint8Array): number {
  const toc = packet[0]
  if (toc === undefined) return 0
  const config = toc >> 3
  const frame =
    config < 12
      ? ([480, 960, 1920, 2880][config & 3] ?? 0)
      : config < 16
        ? ([480, 960][config & 1] ?? 0)
        : ([120, 240, 480, 960][config & 3] ?? 0)
  const code = toc & 3
  const frames = code === 0 ? 1 : code === 3 ? (packet[1] ?? 0) & 63 : 2
  const samples = frame * frames
  return samples > 5760 ? 0 : samples
}
