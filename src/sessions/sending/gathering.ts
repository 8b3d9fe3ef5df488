/** What a message needs from outside before it can be composed: its files, and the page behind its link. */
import type { Ask } from '../../domain/content'
import { asksForFile, type FileAsk } from '../../domain/content-media'
import { AppError } from '../../domain/errors'
import type { SessionId, TenantId } from '../../domain/ids'
import {
  type FetchedPreview,
  type MediaDesk,
  type MediaStore,
  originFields,
  originOf,
  type StagedFile,
} from '../../domain/media'
import { createTurnstile } from '../turnstile'
import { wrong } from './asks'

/** Files of one request that are made ready at the same time. */
const AT_ONCE = 4

export type Gathered = {
  /** The files, in the order of the ask's items. */
  staged: StagedFile[]
  preview: FetchedPreview | null
}

export const NOTHING: Gathered = { staged: [], preview: null }

type Owner = { tenantId: TenantId; sessionId: SessionId }

/** A link as people write it in a text, without the punctuation behind it. */
const LINK = /https?:\/\/[^\s<>"]+[^\s<>".,;:!?)\]}'’”]/i

export const firstLink = (text: string): string | null => LINK.exec(text)?.[0] ?? null

/** The asks for files that are in an ask; each names exactly one origin. */
export function filesOf(ask: Ask): FileAsk[] {
  const asks = ask.type === 'album' ? ask.items : asksForFile(ask) ? [ask] : []
  for (const one of asks) {
    const given = originFields(one.type).filter(
      (field) => (one as Record<string, unknown>)[field] !== undefined,
    )
    if (given.length !== 1 || originOf(one) === null)
      throw wrong('', `Give exactly one of ${originFields(one.type).join(', ')}`)
  }
  return asks
}

/** Whether anything is to be fetched or kept for it; a plain text is composed at once. */
export const needsGathering = (ask: Ask): boolean =>
  ask.type === 'album' || asksForFile(ask) || (ask.type === 'text' && ask.linkPreview === true)

/** Runs all, and when one fails, waits for the others and lets go of what they have brought. */
async function stagedAll(
  desk: Pick<MediaDesk, 'discard'>,
  asks: readonly FileAsk[],
  stage: (ask: FileAsk) => Promise<StagedFile>,
): Promise<StagedFile[]> {
  const few = createTurnstile(AT_ONCE)
  const outcomes = await Promise.allSettled(asks.map((ask) => few(() => stage(ask))))
  const staged = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []))
  const failed = outcomes.find((outcome) => outcome.status === 'rejected')
  if (failed) {
    await discardAll(desk, staged)
    throw failed.reason
  }
  return staged
}

/** Lets go of files that are not going to be sent. */
export async function discardAll(
  desk: Pick<MediaDesk, 'discard'>,
  staged: readonly StagedFile[],
): Promise<void> {
  await Promise.allSettled(staged.map((one) => desk.discard(one)))
}

/**
 * Makes a file ready that belongs to nobody but this session: an upload may be used again, and goes when its own time is
 * over, so a message gets a copy of it.
 */
export async function stagedOwn(
  { desk, files }: { desk: MediaDesk; files: MediaStore },
  owner: Owner,
  ask: FileAsk,
): Promise<StagedFile> {
  const staged = await desk.stage(owner, ask)
  const file = files.get(staged.fileId)
  if (!file || file.sessionId !== null) return staged
  const { mimetype, filename, size, expiresAt } = file
  const copy = await files.keep(files.read(file.id), {
    ...owner,
    messageId: null,
    mimetype,
    filename,
    maxBytes: size,
    expiresAt,
  })
  return { ...staged, fileId: copy.id }
}

/** Says which item of an album is wrong, and where its fields stand. */
const namingItem =
  (asks: readonly FileAsk[], stage: (ask: FileAsk) => Promise<StagedFile>) =>
  async (ask: FileAsk): Promise<StagedFile> => {
    try {
      return await stage(ask)
    } catch (error) {
      if (!(error instanceof AppError)) throw error
      const item = asks.indexOf(ask)
      const { fields, ...details } = error.details ?? {}
      const placed = Array.isArray(fields)
        ? { fields: fields.map((field) => ({ ...field, path: `items/${item}/${field.path}` })) }
        : {}
      throw new AppError(error.code, { ...details, ...placed, item }, error.message)
    }
  }

/** Where previews come from, and where files go that are not needed. */
export type Sources = Pick<MediaDesk, 'discard'> & {
  preview(url: string): Promise<FetchedPreview | null>
}

/** Fetches and keeps what the ask names; when it rejects nothing remains. */
export async function gathered(
  desk: Sources,
  ask: Ask,
  stage: (ask: FileAsk) => Promise<StagedFile>,
): Promise<Gathered> {
  const asks = filesOf(ask)
  const each = ask.type === 'album' ? namingItem(asks, stage) : stage
  const staged = asks.length === 0 ? [] : await stagedAll(desk, asks, each)
  const link = ask.type === 'text' && ask.linkPreview === true ? firstLink(ask.text) : null
  return { staged, preview: link === null ? null : await desk.preview(link) }
}
