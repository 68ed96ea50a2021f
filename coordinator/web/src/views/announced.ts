import { useEffect, useRef } from 'preact/hooks';
import { announcement } from '../state/store.ts';

/** Says news to those who listen instead of look. The first one is what the page was opened with, and is read with it. */
export const useAnnounced = (news: string): void => {
  const said = useRef('');
  useEffect(() => {
    if (news === said.current) return;
    if (said.current !== '') announcement.value = news;
    said.current = news;
  }, [news]);
};
