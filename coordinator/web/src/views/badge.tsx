import type { NodeView, RoundNodeView, RunView } from '@weft/shared';

type Word =
  | RunView['state']
  | NodeView['state']
  | RoundNodeView['stage']
  | Exclude<RoundNodeView['membership'], 'none' | 'member'>
  | 'connected'
  | 'away'
  | 'passed'
  | 'withdrawn'
  | 'withstood'
  | 'not withstood';
type Tone = 'good' | 'busy' | 'wait' | 'bad' | 'quiet';

const tones: Readonly<Record<Word, Tone>> = {
  created: 'wait',
  running: 'busy',
  paused: 'wait',
  finished: 'good',
  stopped: 'quiet',
  aborted: 'bad',
  pending: 'wait',
  approved: 'good',
  revoked: 'bad',
  offered: 'wait',
  downloading: 'busy',
  evaluating: 'busy',
  training: 'busy',
  ready: 'good',
  uploading: 'busy',
  accepted: 'good',
  declined: 'quiet',
  left: 'bad',
  connected: 'good',
  away: 'quiet',
  summed: 'good',
  dropped: 'bad',
  refused: 'bad',
  passed: 'good',
  withdrawn: 'wait',
  withstood: 'good',
  'not withstood': 'wait',
};

/** The state in its own word; colour and mark only repeat it. */
export function Badge({ word, label = word }: { word: Word; label?: string }) {
  return <span class={`badge ${tones[word]}`}>{label}</span>;
}
