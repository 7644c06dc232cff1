/**
 * Follows work that is done again and again: a failure is told once, until it goes well again. What it returns never
 * rejects.
 */
export function toldOnce(
  what: string,
  onFault: (what: string, error: unknown) => void,
): (work: Promise<unknown>) => Promise<void> {
  let isFailing = false;
  return (work) =>
    work.then(
      () => {
        isFailing = false;
      },
      (error) => {
        if (!isFailing) onFault(what, error);
        isFailing = true;
      },
    );
}
