import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { Reachability } from './reachability.ts';

const away = { code: 'LEDGER_UNAVAILABLE' };
const never = () => new Promise<never>(() => undefined);

function watch(answers: boolean[]) {
  const probes: boolean[] = [];
  const probe = async () => {
    const reached = answers.shift() ?? true;
    probes.push(reached);
    return reached;
  };
  return { probes, reachability: new Reachability({ probe, patienceMs: 20, rememberMs: 60 }) };
}

describe('the reachability of an engine', () => {
  it('is not asked about while answers come in time', async () => {
    const { probes, reachability } = watch([]);
    expect(await reachability.answerOf(async () => 'answer')).toBe('answer');
    await expect(reachability.answerOf(() => Promise.reject(new Error('refused')))).rejects.toThrow(
      'refused',
    );
    await sleep(50);
    expect(probes).toEqual([]);
  });

  it('lets a slow answer come, however slow, while the engine is there', async () => {
    const { probes, reachability } = watch([]);
    expect(await reachability.answerOf(() => sleep(150, 'late'))).toBe('late');
    expect(probes.length).toBeGreaterThan(2);
  });

  it('ends every wait once it is lost, and refuses what comes without asking again', async () => {
    const { probes, reachability } = watch([true, false]);
    const waits = Array.from({ length: 3 }, () => reachability.answerOf(never));
    for (const wait of waits) await expect(wait).rejects.toMatchObject(away);
    let sent = false;
    const next = reachability.answerOf(async () => {
      sent = true;
    });
    await expect(next).rejects.toMatchObject(away);
    expect(sent).toBe(false);
    expect(probes).toEqual([true, false]);
  });

  it('is asked about again after a while, once for all who come', async () => {
    const { probes, reachability } = watch([false, false, true]);
    await expect(reachability.answerOf(never)).rejects.toMatchObject(away);
    await sleep(70);
    const still = Array.from({ length: 3 }, () => reachability.answerOf(async () => 'answer'));
    for (const answer of still) await expect(answer).rejects.toMatchObject(away);
    await sleep(70);
    expect(await reachability.answerOf(async () => 'answer')).toBe('answer');
    expect(probes).toEqual([false, false, true]);
  });
});
