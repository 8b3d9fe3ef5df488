/** How the failures of the sandbox's parts are told to a caller of its control API. */
import { UnknownMessage } from './content-shape'
import { SandboxError } from './errors'
import { NotOnWhatsApp } from './phone-book'
import { BrokenMedia } from './phone-media'
import { MessageRefused } from './phone-outbox'
import { PairingError } from './phone-pairing'
import { NoSuchMessage } from './phone-screen'
import { LinkRefused, Refusal } from './refusal'

type Kind<E extends Error> = abstract new (...args: never[]) => E
const row =
  <E extends Error>(kind: Kind<E>, to: (error: E) => SandboxError) =>
  (error: unknown): SandboxError | null =>
    error instanceof kind ? to(error) : null

const FAILURES = [
  row(PairingError, ({ message }) => new SandboxError('PAIRING_FAILED', 409, message)),
  row(LinkRefused, ({ message }) => new SandboxError('PAIRING_FAILED', 409, message)),
  row(NotOnWhatsApp, ({ message }) => new SandboxError('NUMBER_NOT_ON_WHATSAPP', 404, message)),
  row(UnknownMessage, ({ message }) => new SandboxError('MESSAGE_NOT_FOUND', 404, message)),
  row(NoSuchMessage, ({ message }) => new SandboxError('MESSAGE_NOT_FOUND', 404, message)),
  row(
    MessageRefused,
    ({ message, code }) => new SandboxError('MESSAGE_REJECTED', 502, message, { whatsappCode: code }),
  ),
  row(BrokenMedia, ({ message }) => new SandboxError('MEDIA_DOWNLOAD_FAILED', 400, message)),
  row(
    Refusal,
    ({ message, code }) => new SandboxError('SANDBOX_REFUSED', 409, message, { whatsappCode: code }),
  ),
]

/** Runs work and puts what it may fail with into words; anything else is a defect and passes as it is. */
export async function inWords<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    for (const told of FAILURES) {
      const known = told(error)
      if (known) throw known
    }
    throw error
  }
}
