/** What the making of every type of message has at hand. */
import type { FileAsk } from '../domain/content-media'
import type { SessionId, TenantId } from '../domain/ids'
import type { Bytes, KeptFile, MediaStore, StagedFile } from '../domain/media'
import type { Log } from '../lib/log'
import type { MediaCaps } from './caps'
import type { Ffmpeg } from './ffmpeg'
import type { Sniffed } from './sniff'
import type { VoiceStudio } from './voice-studio'

/** A file that has come in and has not been looked at further than its first bytes. */
export type Material = {
  owner: { tenantId: TenantId; sessionId: SessionId }
  head: Uint8Array
  sniffed: Sniffed
  /** To be read once. */
  bytes: Bytes
  /** The upload that it is; then nothing needs to be kept again. */
  upload: KeptFile | null
  /** Claims, of which only the document's finer type and name are made from. */
  declared: string | null
  filename: string | null
}

export type Workshop = {
  store: MediaStore
  caps: MediaCaps
  ffmpeg: Ffmpeg | null
  voice: VoiceStudio
  log: Log
  /** Fetches a picture that goes with a film. */
  fetchPicture(material: Material, url: string, signal: AbortSignal | undefined): Promise<Uint8Array>
  /** Keeps bytes for this material's session, until they are claimed or their time is over. */
  keep(
    material: Material,
    bytes: Bytes,
    as: { mimetype: string; maxBytes: number; filename?: string | null },
  ): Promise<KeptFile>
}

/** Makes one type of message of a material. What it has kept when it throws, it has removed. */
export type Recipe<Ask extends FileAsk> = (
  shop: Workshop,
  material: Material,
  ask: Ask,
  signal: AbortSignal | undefined,
) => Promise<StagedFile>

/** Looks at a kept file; if that fails, the file goes, unless it is an upload. */
export async function orRemove<T>(
  { store }: Workshop,
  material: Material,
  kept: KeptFile,
  look: () => Promise<T>,
): Promise<T> {
  try {
    return await look()
  } catch (error) {
    if (kept.id !== material.upload?.id) await store.remove([kept.id])
    throw error
  }
}
