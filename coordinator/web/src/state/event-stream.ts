/** One event of a `text/event-stream`, https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation */
export interface StreamEvent {
  readonly kind: string;
  readonly data: string;
}

export interface EventStreamParser {
  /** The events that this piece of text completes. */
  push(text: string): StreamEvent[];
  /** Goes into `Last-Event-ID` when the stream is opened again. */
  readonly lastEventId: string;
}

/** EventSource hands named events only to listeners that know the name; here a kind that is new to the page arrives too. */
export const createEventStreamParser = (lastEventId = ''): EventStreamParser => {
  let pending = '';
  let afterCarriageReturn = false;
  let id = lastEventId;
  // an event that a break cuts off was not heard: its id counts from its end on
  let ended = lastEventId;
  let kind = '';
  let data: string[] = [];

  const take = (line: string): StreamEvent | undefined => {
    if (line === '') {
      ended = id;
      const event = data.length === 0 ? undefined : { kind: kind === '' ? 'message' : kind, data: data.join('\n') };
      kind = '';
      data = [];
      return event;
    }
    const colon = line.indexOf(':');
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (field === 'data') data.push(value);
    else if (field === 'event') kind = value;
    else if (field === 'id' && !value.includes('\0')) id = value;
    return undefined;
  };

  return {
    push(text) {
      const events: StreamEvent[] = [];
      for (const character of text) {
        if (character === '\n' && afterCarriageReturn) {
          afterCarriageReturn = false;
          continue;
        }
        afterCarriageReturn = character === '\r';
        if (character !== '\n' && character !== '\r') {
          pending += character;
          continue;
        }
        const event = take(pending);
        pending = '';
        if (event !== undefined) events.push(event);
      }
      return events;
    },
    get lastEventId() {
      return ended;
    },
  };
};
