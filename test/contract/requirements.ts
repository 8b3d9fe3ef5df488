/**
 * The manual, one requirement per line (R1–R140), and where each is proved. A row names a test file and the beginning of
 * a test's name; `open` rows say what is still to come.
 */
export type Proof = { file: string; test: string } | { open: string }

const by = (file: string, test: string): Proof => ({ file: `test/${file}.test.ts`, test })
/** A row of the table of hard inputs. */
const HARD_INPUT = (table: string, says: string): Proof => ({
  file: `test/http/hard-input/${table}.ts`,
  test: says,
})
const open = (says: string): Proof => ({ open: says })

const MANUAL = 'contract/manual'
const SESSIONS = 'http/sessions'
const ACCESS = 'http/access'
const ACCOUNTS = 'http/accounts'
const LIFE = 'domain/session-life'
const CREATE = by(MANUAL, 'Basic Session Creation')
const DETAIL = by(MANUAL, 'List Sessions and Get Session Details')
const STATS = by(MANUAL, 'Message Statistics')
const MONITOR = by(MANUAL, 'SessionMonitor lists')
const RECOVERY = by(MANUAL, 'SessionManager recovers by code')
const QR = by(MANUAL, 'Get QR Code')
const PICTURE = by(SESSIONS, 'JSON holds a PNG of 256 by 256')
const SECURE = by(MANUAL, 'Best Practices: the secure creation')
const RECONNECT = by(MANUAL, 'Auto-Reconnection')
// biome-ignore lint/suspicious/noTemplateCurlyInString: the name as it stands in the test's source
const TABLE = by(LIFE, '${status} × ${on}')

export const REQUIREMENTS: Record<string, Proof> = {
  // Model and conventions
  R1: by('journeys/send-message', 'a text leaves, the recipient decrypts it'),
  R2: HARD_INPUT('json', 'a form'),
  R3: CREATE,
  R4: MONITOR,
  R5: by(SESSIONS, 'a new session has every field'),
  R6: by(SESSIONS, 'a new session has every field'),
  R7: by(SESSIONS, 'there is none for a linked session'),
  R8: by(MANUAL, 'Stop Session'),
  R9: by(SESSIONS, 'need no body and no content type'),
  // Statuses and allowed actions
  R10: TABLE,
  R11: TABLE,
  R12: TABLE,
  R13: TABLE,
  R14: TABLE,
  // Transitions
  R15: CREATE,
  R16: by(MANUAL, 'Start a Session'),
  R17: by(MANUAL, 'Monitor Status'),
  R18: by(MANUAL, 'Restart Session: it comes back without a QR code'),
  R19: by('journeys/start-to-connected', 'a phone scans the code'),
  R20: by('sessions/connecting', 'come back with growing waits'),
  R21: by('journeys/start-to-connected', 'nobody scans'),
  R22: by('journeys/session-life', 'a cut line is told'),
  R23: MONITOR,
  R24: by('journeys/session-life', 'the session says so, tries nothing'),
  // Create
  R25: CREATE,
  R26: CREATE,
  R27: by(MANUAL, 'Session Configuration Options'),
  R28: by(MANUAL, 'Session Configuration Options'),
  R29: by(MANUAL, 'Connection Events'),
  R30: by('storage/ledger', 'content that is not kept leaves no trace'),
  R31: RECONNECT,
  R32: RECONNECT,
  R33: SECURE,
  R34: SECURE,
  R35: CREATE,
  R36: CREATE,
  R37: HARD_INPUT('json', 'a name that is missing'),
  // Start and status
  R38: by(MANUAL, 'Start a Session'),
  R39: by(SESSIONS, 'start answers at once'),
  R40: by(MANUAL, 'Monitor Status'),
  R41: by(SESSIONS, 'start answers at once'),
  R42: by(SESSIONS, 'start answers at once'),
  // QR code
  R43: QR,
  R44: by(MANUAL, 'Display QR in Terminal'),
  R45: PICTURE,
  R46: QR,
  R47: by('sessions/qr', 'a code that is no longer current is never served'),
  R48: PICTURE,
  R49: by(MANUAL, 'Web Display'),
  R50: by('contract/openapi', 'the scan’s six steps are told'),
  R51: by('sessions/qr', 'what a session without a code says'),
  // List and detail
  R52: DETAIL,
  R53: by(SESSIONS, 'lists page, filter and count'),
  R54: by('http/bad-input', 'the default page holds fifty'),
  R55: by(SESSIONS, 'lists page, filter and count'),
  R56: by(SESSIONS, 'lists page, filter and count'),
  R57: DETAIL,
  R58: DETAIL,
  R59: DETAIL,
  R60: DETAIL,
  R61: by(SESSIONS, 'there is none for a linked session'),
  R62: DETAIL,
  R63: DETAIL,
  R64: DETAIL,
  R65: by('sessions/connecting', 'is seen at once and written at most every five seconds'),
  // Update
  R66: by(MANUAL, 'Update Session Settings'),
  R67: by(MANUAL, 'Update Session Settings'),
  R68: by(MANUAL, 'Update Session Settings'),
  R69: by(SESSIONS, 'an update leaves alone what it does not name'),
  R70: by('storage/webhooks', 'settings.webhookUrl is one'),
  R71: by(MANUAL, 'Update Session Settings'),
  // Control
  R72: by(MANUAL, 'Stop Session'),
  R73: by('journeys/session-life', 'keep the link'),
  R74: by(MANUAL, 'Restart Session'),
  R75: by(MANUAL, 'Clear Authentication'),
  R76: by('journeys/session-life', 'unlinks on the phone and goes on to a new code'),
  R77: by('storage/vault', 'a deleted session leaves no row in any table but the journal'),
  R78: by(MANUAL, 'Delete Session'),
  // Reconnect
  R79: by('journeys/faults', '%s'),
  R80: by('journeys/faults', '%s'),
  R81: open('the phone’s own absence is not told yet (14 days unlink a device)'),
  R82: by(LIFE, 'waits double from one second to the cap'),
  R83: by(LIFE, 'the budget ends them'),
  R84: by('sessions/connecting', 'autoReconnect off'),
  R85: by(LIFE, 'an automatic attempt counts, a command starts anew'),
  R86: by(SESSIONS, 'a whole restart brings a linked session back'),
  // Events
  R87: by(MANUAL, 'Connection Events'),
  R88: by('sessions/connecting', 'code, scan, handover, login'),
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the name as it stands in the test's source
  R89: by('webhooks/addresses', '${url.slice(0, 50)} is refused'),
  R90: by('webhooks/sender', 'carries the raw body and headers that both ways of verifying accept'),
  // Limits and multi-session
  R91: by(ACCESS, 'the fourth session of the free plan'),
  R92: by(ACCOUNTS, 'a plan is in force with the next request'),
  R93: by(ACCOUNTS, 'a plan is in force with the next request'),
  R94: by(ACCESS, 'the fourth session of the free plan'),
  R95: RECONNECT,
  R96: by(MANUAL, 'Load Distribution'),
  R97: by(MANUAL, 'Health Checks'),
  R98: by('journeys/session-life', 'one session per number'),
  // Analytics
  R99: STATS,
  R100: by('stats/report', 'have the manual’s shape'),
  R101: STATS,
  R102: by('stats/report', 'have the manual’s shape'),
  R103: by('storage/ledger', 'are exact by type, day and status'),
  R104: STATS,
  R105: STATS,
  R106: STATS,
  R107: STATS,
  R108: STATS,
  R109: STATS,
  R110: SECURE,
  R111: by('storage/ledger', 'are exact by type, day and status, and survive a restart'),
  // Errors
  R112: HARD_INPUT('json', 'truncated JSON'),
  R113: by('domain/errors', 'codes are stable names'),
  R114: by('domain/errors', 'the three errors that the manual prints'),
  R115: by(MANUAL, 'Delete Session'),
  R116: by(MANUAL, 'Session Not Connected'),
  R117: by(MANUAL, 'Session Not Connected'),
  R118: by('domain/errors', 'the three errors that the manual prints'),
  R119: by('domain/errors', 'the three errors that the manual prints'),
  R120: by('domain/errors', 'the three errors that the manual prints'),
  R121: by('journeys/faults', 'a send over a lost login says what to do'),
  R122: by('http/rate-limits', 'a hundred in a minute'),
  // Client code that runs as written
  R123: MONITOR,
  R124: MONITOR,
  R125: MONITOR,
  R126: MONITOR,
  R127: MONITOR,
  R128: RECOVERY,
  R129: RECOVERY,
  R130: RECOVERY,
  R131: RECOVERY,
  R132: open('a client library of our own that defines them; the test brings its own'),
  R133: open('a client library of our own; the answer already has what the sample reads'),
  R134: open('a client library of our own; the sample’s function works on the list'),
  // Security and documents
  R135: by(ACCESS, 'a session with a list of addresses is closed to others'),
  R136: by('webhooks/sender', 'carries the raw body and headers'),
  R137: by('storage/vault', 'no secret can be read from the files'),
  R138: by('storage/vault', 'a deleted session leaves no row'),
  R139: by('domain/close-reasons', 'every reason says what the human should do'),
  R140: open('the page messaging.md; webhooks.md is src/webhooks/README.md'),
}

/** Parts of the contract that no R line names and that are still to come. */
export const STILL_OPEN: readonly string[] = [
  '§3 rejectCalls, readReceipts',
  '§7 /metrics, the interactive explorer, the Postman collection',
  '§8 chats, contacts, groups, channels, labels, presence, profile',
  '§9 user, backup and restore commands; RETENTION_MESSAGES',
]
