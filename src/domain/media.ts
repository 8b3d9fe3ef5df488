/**
 * Files: where they come from, what is known of them, and where they are kept.
 *
 * Bytes always pass as streams; nothing here is held whole.
 */
import type { FileAsk, FileType, Media } from './content-media'
import type { MessageId, SessionId, TenantId } from './ids'

declare const brand: unique symbol
/** 32 random lower-case hex characters; says nothing about the file. */
export type FileId = string & { readonly [brand]: 'FileId' }
export const asFileId = (text: string): FileId => text as FileId

export type Bytes = AsyncIterable<Uint8Array>

/** Who a kept file belongs to: an upload of an account, or a file of a session's message. */
export type FileOwner = { tenantId: TenantId; sessionId: SessionId | null }

/** A file on our disk. */
export type KeptFile = FileOwner & {
  id: FileId
  /** The message whose file it is; null for uploads and files that are being sent. */
  messageId: MessageId | null
  size: number
  /** SHA-256 of the plain bytes. */
  sha256: Uint8Array
  mimetype: string
  filename: string | null
  createdAt: number
  /** When the janitor takes it (ms); null = with its session. */
  expiresAt: number | null
}

/** Thrown by `MediaStore.keep` when the stream holds more than it may; nothing is kept. */
export class FileTooLarge extends Error {
  constructor(readonly maxBytes: number) {
    super(`The file is larger than ${maxBytes} bytes`)
    this.name = 'FileTooLarge'
  }
}

/** Files on disk, sealed, under random names. */
export interface MediaStore {
  /**
   * Keeps a stream; the file and its row are on disk when it resolves. When the stream throws, holds too much
   * (`FileTooLarge`), the account has no room for it (`MEDIA_LIMIT_REACHED`) or the disk fails (`STORAGE_UNAVAILABLE`), it rejects and nothing remains.
   */
  keep(
    bytes: Bytes,
    about: FileOwner & {
      messageId: MessageId | null
      mimetype: string
      filename: string | null
      maxBytes: number
      expiresAt: number | null
    },
  ): Promise<KeptFile>
  get(id: FileId): KeptFile | null
  /** The kept file of a message. */
  ofMessage(sessionId: SessionId, messageId: MessageId): KeptFile | null
  /** The plain bytes from `start` up to and without `end`. Throws when the file is gone. */
  read(id: FileId, range?: { start: number; end: number }): Bytes
  /** Makes it the file of a message (or takes its time limit away or gives it one). */
  assign(
    id: FileId,
    to: { sessionId: SessionId; messageId: MessageId | null; expiresAt: number | null },
  ): Promise<void>
  remove(ids: readonly FileId[]): Promise<void>
}

/** Where the bytes of a file to be sent come from. */
export type FileOrigin =
  | { from: 'url'; url: string }
  | { from: 'base64'; data: string }
  | { from: 'upload'; id: FileId }

/** A file that is ready to be sent: kept, looked at, converted where its type asks for it. */
export type StagedFile = {
  fileId: FileId
  media: Media
  /** A small JPEG. */
  thumbnail: Uint8Array | null
  /** Of a sticker. */
  animated: boolean
}

/** What an ask says of its file, from whichever field. */
export function originOf(ask: FileAsk): FileOrigin | null {
  const { url, base64 } = FIELDS[ask.type](ask as never)
  if (ask.uploadId !== undefined) return { from: 'upload', id: asFileId(ask.uploadId) }
  if (url !== undefined) return { from: 'url', url }
  return base64 === undefined ? null : { from: 'base64', data: base64 }
}

type Given = { url: string | undefined; base64: string | undefined }
const FIELDS: { [T in FileType]: (ask: Extract<FileAsk, { type: T }>) => Given } = {
  image: ({ imageUrl: url, imageBase64: base64 }) => ({ url, base64 }),
  video: ({ videoUrl: url, videoBase64: base64 }) => ({ url, base64 }),
  audio: ({ audioUrl: url, audioBase64: base64 }) => ({ url, base64 }),
  document: ({ documentUrl: url, documentBase64: base64 }) => ({ url, base64 }),
  sticker: ({ stickerUrl: url, stickerBase64: base64 }) => ({ url, base64 }),
}

/** Names of the fields of which an ask needs exactly one. */
export const originFields = (type: FileType): string[] => [`${type}Url`, `${type}Base64`, 'uploadId']

/** A link preview with its picture. */
export type FetchedPreview = {
  url: string
  title: string
  description?: string
  thumbnail: Uint8Array | null
}

/**
 * Makes files ready. Rejects with the catalogue's `MEDIA_URL_FORBIDDEN`, `MEDIA_DOWNLOAD_FAILED`, `FILE_TOO_LARGE`,
 * `UNSUPPORTED_MEDIA_TYPE`, `MEDIA_CONVERSION_UNAVAILABLE`, `UPLOAD_NOT_FOUND` or `VALIDATION_ERROR`; then nothing remains.
 */
export interface MediaDesk {
  /** Fetches, checks, converts and keeps the file of an ask. */
  stage(
    owner: { tenantId: TenantId; sessionId: SessionId },
    ask: FileAsk,
    signal?: AbortSignal,
  ): Promise<StagedFile>
  /** Everything that `stage` would find wrong, and what it would send; nothing is kept. */
  examine(owner: { tenantId: TenantId; sessionId: SessionId }, ask: FileAsk): Promise<Media>
  /** Lets go of a staged file that is not going to be sent. */
  discard(staged: StagedFile): Promise<void>
  /** Takes a file in for later sends, of the usual size unless told otherwise; its type is sniffed. */
  upload(
    tenantId: TenantId,
    bytes: Bytes,
    filename: string | null,
    options?: { maxBytes?: number },
  ): Promise<KeptFile>
  /** Title, description and picture of a page, fetched as this session fetches; null when it has none or cannot be had. Never throws. */
  preview(sessionId: SessionId, url: string): Promise<FetchedPreview | null>
}
