import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { WeftError } from '../../../shared/src/index.js';
                                           
import { and, eq, gt, inArray,          } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/better-sqlite3';
import { openDatabase, translateErrors } from './database.js';
import { events } from './event-table.js';
import { eventSchemas, isEventKind,                                                 } from './events.js';

                                                              
                             
                          
                          
                           
                                
                          
 

/** The event table. */
                        
                                                                                             
                                                   
                                                                
                                                  
                                                                                 
                                                                                          
                                                                
                
 

/**
 * Opens or creates `weft.db` in the coordinator's home.
 * @throws WEFT_STORE_CORRUPT, WEFT_STORE_VERSION, WEFT_DISK_FULL
 */
export function openStore(homeDir        , { now = Date.now }                         = {})        {
  mkdirSync(homeDir, { recursive: true, mode: 0o700 });
  return createStore(openDatabase(join(homeDir, 'weft.db')), now);
}

export function createStore(client                   , now              )        {
  const file = client.name;
  const db = drizzle(client);
  const listeners = new Set                              ();
  const undelivered                = [];
  let delivering = false;

  // A listener may append too: its rows are told after the ones before them, to everyone in the same order.
  const deliver = ()       => {
    if (delivering) return;
    delivering = true;
    for (let event = undelivered.shift(); event !== undefined; event = undelivered.shift()) {
      for (const listener of listeners) {
        try {
          listener(event);
        } catch (error) {
          // The row is durable whatever a listener makes of it.
          queueMicrotask(() => {
            throw error;
          });
        }
      }
    }
    delivering = false;
  };

  const appendAll = (rows                     )                => {
    const checked = rows.map((row) => ({ ...row, at: row.at ?? now(), data: checkData(row.kind, row.data) }));
    const stored = translateErrors(file, () =>
      db.transaction((tx) =>
        checked.map((row) => {
          const { seq } = tx.insert(events).values(row).returning({ seq: events.seq }).get();
          return { ...row, seq }               ;
        }),
      ),
    );
    undelivered.push(...stored);
    deliver();
    return stored;
  };

  return {
    append: ((rows                                ) =>
      Array.isArray(rows) ? appendAll(rows) : appendAll([rows            ])[0])                   ,
    read                     ({ afterSeq, runId, round, nodeId, kinds, limit }                = {}) {
      const conditions                      = [
        afterSeq === undefined ? undefined : gt(events.seq, afterSeq),
        runId === undefined ? undefined : eq(events.runId, runId),
        round === undefined ? undefined : eq(events.round, round),
        nodeId === undefined ? undefined : eq(events.nodeId, nodeId),
        kinds === undefined ? undefined : inArray(events.kind, [...kinds]),
      ];
      const query = db.select().from(events).where(and(...conditions)).orderBy(events.seq);
      return translateErrors(file, () => (limit === undefined ? query : query.limit(limit)).all().map(toEvent))                    ;
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    close: () => void client.close(),
  };
}

function toEvent(row                            )              {
  const { seq, at, kind, runId, round, nodeId, data } = row;
  if (!isEventKind(kind)) throw new WeftError('WEFT_STORE_CORRUPT', `event ${seq} is of the unknown kind ${kind}`);
  const parsed = eventSchemas[kind].safeParse(data);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new WeftError('WEFT_STORE_CORRUPT', `event ${seq} (${kind}): ${issue?.path.join('.') ?? ''} ${issue?.message ?? ''}`);
  }
  return {
    seq,
    at,
    kind,
    ...(runId !== null && { runId }),
    ...(round !== null && { round }),
    ...(nodeId !== null && { nodeId }),
    data: parsed.data,
  }               ;
}

function checkData(kind           , data         )          {
  const parsed = eventSchemas[kind].safeParse(data);
  if (parsed.success) return parsed.data;
  throw new WeftError('WEFT_INTERNAL', `a ${kind} event does not fit its schema: ${parsed.error.message}`, {}, { cause: parsed.error });
}
