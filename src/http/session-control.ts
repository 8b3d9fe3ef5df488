/** The session commands: start, stop, restart, clear-auth, logout, and the two ways to link a phone. */
import { Type } from '@sinclair/typebox'
import { Elysia } from 'elysia'
import { fail } from '../domain/errors'
import { parsePhoneNumber } from '../domain/ids'
import { SESSION_STATUSES, type Session } from '../domain/session'
import { isoTime } from '../lib/clock'
import type { SessionCommand, Supervisor } from '../sessions/supervisor'
import { answer, notes, oneOf, says, time } from './docs'
import type { Caller, Guard, SessionGate } from './guard'
import { readJson } from './json'
import { LONGEST_WAIT, QR_WAIT } from './limits'
import { QR_FORMATS, type QrDrawing, qrFormat } from './qr-format'
import { waitParameter } from './query'
import type { HeadersSet, RateLimits } from './rate-limit'
import { QR } from './session-docs'
import { SessionParams } from './sessions'

export type SessionControlParts = {
  limits: Pick<RateLimits, 'request'>
  guard: Guard
  gate: SessionGate
  supervisor: Pick<Supervisor, 'command' | 'waitForQr' | 'pairingCode'>
  draw: QrDrawing
}

const tags = ['Session control']

/** Whether the command lets WhatsApp be asked for a new QR code; one that is under way already is joined or stays. */
function beginsPairing({ state, credentials }: Session, name: SessionCommand): boolean {
  if (name === 'clear_auth') return state.status !== 'inactive'
  if (credentials === 'linked' || state.status === 'connecting') return false
  return name === 'restart' || (name === 'start' && state.status !== 'qr_generated')
}

type CommandContext = { caller: Caller; params: { id: string }; request: Request; set: HeadersSet }

/** Makes the command routes under `/api/sessions/:id`. */
export function sessionControlRoutes({ guard, gate, supervisor, draw, limits }: SessionControlParts) {
  /** Runs a command on the caller's session and answers with its present status. */
  const command = async (
    { caller, params, request, set }: CommandContext,
    name: SessionCommand,
    message: string,
  ) => {
    const present = gate(caller, params.id)
    if (beginsPairing(present, name)) limits.request('pairings', request, caller.principal, set)
    const session = await supervisor.command(present.id, name)
    return { success: true as const, message, status: session.state.status }
  }
  const commandRoute = (summary: string, message: string, description: string, status: string) => ({
    access: 'sessions:write' as const,
    params: SessionParams,
    response: { 200: answer({ message: says(message), status: oneOf(SESSION_STATUSES) }) },
    detail: notes({
      summary,
      description: `${description} Needs no body. Accepted in every state.`,
      tags,
      errors: ['SESSION_NOT_FOUND'],
      example: { success: true, message, status },
    }),
  })
  const STARTED = 'Session started successfully'
  const STOPPED = 'Session stopped successfully'
  const RESTARTED = 'Session restarted successfully'
  const CLEARED = 'Authentication cleared successfully'
  const LOGGED_OUT = 'Session logged out successfully'

  return new Elysia({ prefix: '/api/sessions/:id', normalize: false })
    .use(guard)
    .post(
      '/start',
      (context) => command(context, 'start', STARTED),
      commandRoute(
        'Start',
        STARTED,
        'Answers at once; the connection is made behind. A running session stays as it is.',
        'connecting',
      ),
    )
    .post(
      '/stop',
      (context) => command(context, 'stop', STOPPED),
      commandRoute('Stop', STOPPED, 'The device stays linked; the next start needs no QR code.', 'inactive'),
    )
    .post(
      '/restart',
      (context) => command(context, 'restart', RESTARTED),
      commandRoute(
        'Restart',
        RESTARTED,
        'Joins a connection attempt that is already in flight, so monitors may call it again and again.',
        'connecting',
      ),
    )
    .post(
      '/clear-auth',
      (context) => command(context, 'clear_auth', CLEARED),
      commandRoute(
        'Clear the authentication',
        CLEARED,
        'Unlinks the device if it can, removes the credentials, and, if the session was running, goes on to a new QR code.',
        'connecting',
      ),
    )
    .post(
      '/logout',
      (context) => command(context, 'logout', LOGGED_OUT),
      commandRoute('Log out', LOGGED_OUT, 'Unlinks the device and keeps the session, inactive.', 'inactive'),
    )
    .get(
      '/qr',
      async ({ caller, params, query, request, server, set }) => {
        const session = gate(caller, params.id)
        const format = qrFormat(query.format, request.headers.get('accept'))
        server?.timeout(request, LONGEST_WAIT + 30)
        const { text, expiresAt } = await supervisor.waitForQr(session.id, query.wait * 1000, request.signal)
        set.headers.expires = new Date(expiresAt).toUTCString()
        if (format !== 'json') return await draw.response(format, text)
        return {
          success: true as const,
          qrCode: await draw.dataUrl(text),
          qrText: text,
          message: 'QR code generated successfully',
          expiresAt: isoTime(expiresAt),
        }
      },
      {
        access: 'sessions:write',
        params: SessionParams,
        query: Type.Object(
          {
            wait: waitParameter(QR_WAIT),
            format: Type.Optional(
              oneOf(QR_FORMATS, {
                description: 'The code itself instead of JSON; the Accept header does the same',
              }),
            ),
          },
          { additionalProperties: false },
        ),
        detail: notes({
          summary: 'Get the QR code',
          description: `Scan it with the phone: 1. Get the QR code. 2. Open WhatsApp on your phone. 3. Go to Settings → Linked Devices. 4. Tap "Link a Device". 5. Scan the QR code. 6. Wait for the connection. While the session is connecting the request is held (${QR_WAIT} s unless ?wait= says otherwise). Codes replace each other by themselves; expiresAt is the moment at which this very one stops being current.`,
          tags,
          errors: [
            'SESSION_NOT_FOUND',
            'QR_NOT_READY',
            'QR_CODE_EXPIRED',
            'SESSION_ALREADY_CONNECTED',
            'SESSION_NOT_STARTED',
            'SESSION_NOT_CONNECTED',
            'PASSKEY_REQUIRED',
            'CLIENT_OUTDATED',
          ],
          example: QR,
          schema: answer({
            qrCode: Type.String({ description: '256×256 PNG as a data URL' }),
            qrText: Type.String({ description: 'The text inside the code' }),
            message: says('QR code generated successfully'),
            expiresAt: time(),
          }),
          content: {
            'image/png': 'The code, 256×256 pixels',
            'image/svg+xml': 'The code as SVG',
            'text/plain': 'The code in terminal blocks (format=terminal) or its text (format=raw)',
          },
        }),
      },
    )
    .post(
      '/pairing-code',
      async ({ caller, params, body, request, server }) => {
        const session = gate(caller, params.id)
        const phoneNumber = parsePhoneNumber(body.phoneNumber)
        if (phoneNumber === null) throw fail('INVALID_PHONE_NUMBER')
        server?.timeout(request, LONGEST_WAIT + 30)
        const { code, expiresAt } = await supervisor.pairingCode(session.id, phoneNumber)
        return { success: true as const, code, expiresAt: isoTime(expiresAt) }
      },
      {
        access: 'sessions:write',
        parse: readJson,
        params: SessionParams,
        body: Type.Object(
          {
            phoneNumber: Type.String({
              maxLength: 40,
              description: 'The number of the phone to link, in international form',
              examples: ['+1234567890'],
            }),
          },
          { additionalProperties: false },
        ),
        response: {
          200: answer({ code: Type.String({ examples: ['ABCD-1234'] }), expiresAt: time() }),
        },
        detail: notes({
          summary: 'Link by pairing code',
          description: 'Type the code on the phone: Linked Devices → Link a Device → Link with phone number.',
          tags,
          errors: [
            'SESSION_NOT_FOUND',
            'INVALID_PHONE_NUMBER',
            'PAIRING_CODE_REFUSED',
            'QR_NOT_READY',
            'QR_CODE_EXPIRED',
            'SESSION_ALREADY_CONNECTED',
            'SESSION_NOT_STARTED',
            'PASSKEY_REQUIRED',
            'CLIENT_OUTDATED',
          ],
          requestExample: { phoneNumber: '+1234567890' },
          example: { success: true, code: 'ABCD-1234', expiresAt: '2024-01-01T00:02:40.000Z' },
        }),
      },
    )
}
