import { expect, test } from 'bun:test'
import { CLOSE_REASONS, closeRow } from '../../src/domain/close-reasons'
import { ERROR_CODES } from '../../src/domain/errors'

test('every reason says what the human should do, and which error its callers get', () => {
  for (const reason of CLOSE_REASONS) {
    const { action, code } = closeRow(reason)
    expect(action.length).toBeGreaterThan(15)
    expect(ERROR_CODES).toContain(code)
  }
})

test('credentials go only where WhatsApp or the one-number rule has taken them back', () => {
  expect(CLOSE_REASONS.filter((reason) => closeRow(reason).wipe !== 'never').sort()).toEqual([
    'duplicate_phone_number',
    'logged_out',
  ])
})

test('bans, locks and revoked links are never tried again', () => {
  for (const reason of [
    'logged_out',
    'banned',
    'temporarily_banned',
    'account_locked',
    'client_outdated',
  ] as const)
    expect(closeRow(reason).retry).toBe('never')
})

test('the errors that the manual’s recovery code switches on are the ones it gets', () => {
  expect(closeRow('logged_out').code).toBe('AUTH_EXPIRED')
  expect(closeRow('connection_lost').code).toBe('SESSION_NOT_CONNECTED')
  expect(closeRow('passkey_required').code).toBe('PASSKEY_REQUIRED')
})
