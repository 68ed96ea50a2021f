/**
 * A load that many events ask for and that one run at a time answers: asked again while it runs, it runs once more
 * afterwards, so the last answer is always newer than the last question.
 */
export const onceMore = (load: () => Promise<void>, pause: () => Promise<void>): (() => Promise<void>) => {
  let running: Promise<void> | undefined;
  let asked = false;
  const loop = async (): Promise<void> => {
    try {
      while (asked) {
        await pause();
        asked = false;
        await load();
      }
    } finally {
      running = undefined;
    }
  };
  return async () => {
    asked = true;
    running ??= loop();
    await running;
  };
};
