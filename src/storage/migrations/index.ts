import start from './0001_start.sql' with { type: 'text' }
import messages from './0002_messages.sql' with { type: 'text' }
import files from './0003_files.sql' with { type: 'text' }
import fewerPages from './0004_fewer_pages.sql' with { type: 'text' }
import webhooks from './0005_webhooks.sql' with { type: 'text' }
import timeline from './0006_timeline.sql' with { type: 'text' }
import accounts from './0007_accounts.sql' with { type: 'text' }
import proxy from './0008_proxy.sql' with { type: 'text' }
import keys from './0009_keys.sql' with { type: 'text' }
import audit from './0010_audit.sql' with { type: 'text' }
import plaintexts from './0011_plaintexts.sql' with { type: 'text' }

/** Every step of the schema, oldest first; embedded, so that one binary is enough. A step that was released never changes. */
export const MIGRATIONS: readonly { name: string; sql: string }[] = [
  { name: '0001_start', sql: start },
  { name: '0002_messages', sql: messages },
  { name: '0003_files', sql: files },
  { name: '0004_fewer_pages', sql: fewerPages },
  { name: '0005_webhooks', sql: webhooks },
  { name: '0006_timeline', sql: timeline },
  { name: '0007_accounts', sql: accounts },
  { name: '0008_proxy', sql: proxy },
  { name: '0009_keys', sql: keys },
  { name: '0010_audit', sql: audit },
  { name: '0011_plaintexts', sql: plaintexts },
]
