/** Whatever can be wrong with a file, in the words of the catalogue. */
import { type AppError, fail } from '../domain/errors'
import { FileTooLarge } from '../domain/media'
import { OutboundError, type OutboundFailure } from '../lib/outbound-request'
import { ConversionFailed } from './ffmpeg'
import { UnreadablePicture } from './pictures'
import { UnreadableSound } from './sound'

/** The bytes are not what the message type takes; `accepted` are types that it does. */
export const wrongType = (reason: string, accepted: readonly string[]): AppError =>
  fail(
    'UNSUPPORTED_MEDIA_TYPE',
    { action: 'Send a file of a type in details.accepted, or send it as a document', reason, accepted },
    'This type of file is not accepted here',
  )

/** The file must be converted first, and nothing here can do it. */
export const noConverter = (what: string, accepted: readonly string[]): AppError =>
  fail(
    'MEDIA_CONVERSION_UNAVAILABLE',
    { accepted },
    `${what}: install ffmpeg on the server, or send another format`,
  )

const damaged = (reason: string): AppError =>
  fail(
    'UNSUPPORTED_MEDIA_TYPE',
    { action: 'Check that the file is whole and plays elsewhere', reason },
    'The file cannot be read',
  )

export const tooLarge = (maxBytes: number): AppError => fail('FILE_TOO_LARGE', { maxBytes })

/** What the caller may know of a failed download; no addresses, no causes. */
const DOWNLOADS: Record<Exclude<OutboundFailure, 'forbidden' | 'too_large'>, string> = {
  unresolved: 'The name of the host does not exist',
  not_connected: 'The host does not take connections',
  certificate: 'The certificate of the host is not valid',
  closed: 'The host closed the connection too early',
  timeout: 'The host is too slow',
  status: 'The host answered with an error',
  redirect: 'The host redirects too often, or to where it may not',
  proxy: 'The proxy of the session does not let the request through',
  interrupted: 'The request was given up',
  network: 'The connection failed',
}

/** An error of the catalogue for anything that a file's way can throw; what is no fault of the file stays itself. */
export function refusalOf(error: unknown, maxBytes: number): unknown {
  if (error instanceof FileTooLarge) return tooLarge(error.maxBytes)
  if (
    error instanceof UnreadablePicture ||
    error instanceof UnreadableSound ||
    error instanceof ConversionFailed
  )
    return damaged(error.message)
  if (!(error instanceof OutboundError)) return error
  if (error.kind === 'forbidden') return fail('MEDIA_URL_FORBIDDEN')
  if (error.kind === 'too_large') return tooLarge(maxBytes)
  return fail('MEDIA_DOWNLOAD_FAILED', {
    reason: DOWNLOADS[error.kind],
    ...(error.status === null ? {} : { status: error.status }),
  })
}
