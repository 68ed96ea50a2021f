/**
 * JSON with sorted keys and no white space: the same value gives the same bytes on every machine, so its hash can be
 * signed. Numbers are as ECMAScript prints them (RFC 8785, section 3.2.2.3); undefined members are left out.
 */
export function canonicalJson(value         )         {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (value !== null && typeof value === 'object') {
    const members = Object.entries(value)
      .filter(([, member]) => member !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, member]) => `${JSON.stringify(key)}:${canonicalJson(member)}`);
    return `{${members.join(',')}}`;
  }
  if (typeof value === 'number' && !Number.isFinite(value)) throw new TypeError(`${value} has no JSON form`);
  return JSON.stringify(value);
}
