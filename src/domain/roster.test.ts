import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Roster } from './roster.ts';

describe('a roster', () => {
  it('has those that entered and have not left, whatever comes and goes', () => {
    const changes = fc.array(fc.record({ enters: fc.boolean(), which: fc.nat(40) }), { maxLength: 200 });
    fc.assert(
      fc.property(changes, (all) => {
        const roster = new Roster<object>();
        const present: { item: object; place: number }[] = [];
        for (const { enters, which } of all) {
          const one = present[which % Math.max(1, present.length)];
          if (enters || one === undefined) {
            const item = {};
            present.push({ item, place: roster.enter(item) });
          } else {
            roster.leave(one.item, one.place);
            present.splice(present.indexOf(one), 1);
          }
          expect(roster.size).toBe(present.length);
          expect(new Set(roster.all())).toEqual(new Set(present.map(({ item }) => item)));
        }
      }),
    );
  });

  it('lets nobody leave twice, and with it who has the place now', () => {
    const roster = new Roster<object>();
    const [first, second] = [{ name: 'first' }, { name: 'second' }];
    const place = roster.enter(first);
    roster.leave(first, place);
    expect(roster.enter(second)).toBe(place);
    roster.leave(first, place);
    expect(roster.all()).toEqual([second]);
  });
});
