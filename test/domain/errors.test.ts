import { expect, test } from 'bun:test'
import { AppError, ERROR_CODES, errorRow, fail } from '../../src/domain/errors'

test('the three errors that the manual prints', () => {
  expect(fail('SESSION_NOT_FOUND').toBody()).toEqual({
    success: false,
    error: 'Session not found',
    code: 'SESSION_NOT_FOUND',
    status: 404,
  })
  expect(fail('SESSION_NOT_CONNECTED', { currentStatus: 'disconnected' }).toBody()).toEqual({
    success: false,
    error: 'Session is not connected',
    code: 'SESSION_NOT_CONNECTED',
    status: 400,
    details: { currentStatus: 'disconnected', action: 'Please restart the session' },
  })
  expect(fail('QR_CODE_EXPIRED').toBody()).toEqual({
    success: false,
    error: 'QR code has expired',
    code: 'QR_CODE_EXPIRED',
    status: 400,
    details: { action: 'Generate a new QR code' },
  })
})

test('codes are stable names with an HTTP status and a sentence', () => {
  for (const code of ERROR_CODES) {
    expect(code).toMatch(/^[A-Z][A-Z_]+[A-Z]$/)
    const { status, says } = errorRow(code)
    expect(status).toBeGreaterThanOrEqual(400)
    expect(status).toBeLessThan(600)
    expect(says.length).toBeGreaterThan(8)
  }
})

test('a caller’s own action replaces the catalogue’s', () => {
  const error = fail('SESSION_NOT_CONNECTED', { action: 'Scan the QR code first' })
  expect(error).toBeInstanceOf(AppError)
  expect(error.details).toEqual({ action: 'Scan the QR code first' })
})
