export const schedules = ['constant', 'linear', 'cosine']         ;
                                                  

/**
 * Factor of the learning rate at `step` (the first is 0), as in transformers' get_constant_schedule_with_warmup,
 * get_linear_schedule_with_warmup and get_cosine_schedule_with_warmup (half a cosine): with warm-up, step 0 has rate 0.
 */
export function scheduleFactor(schedule          , step        , warmupSteps        , totalSteps        )         {
  if (step < warmupSteps) return step / Math.max(1, warmupSteps);
  if (schedule === 'constant') return 1;
  const progress = (step - warmupSteps) / Math.max(1, totalSteps - warmupSteps);
  return Math.max(0, schedule === 'linear' ? 1 - progress : 0.5 * (1 + Math.cos(Math.PI * progress)));
}
