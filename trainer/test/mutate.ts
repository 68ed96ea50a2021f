/**
 * Damages each gradient rule in turn, in every input it serves, and runs that rule's tests: the comparison with PyTorch
 * and the one with central differences must both fail. Prints the rules whose tests stayed green; none exits 0.
 */
import type { GradientContext, Operator, OperatorTable } from '../src/graph/types.ts';
import { mul, scalar } from '../src/ops/calls.ts';
import { operators } from '../src/ops/table.ts';
import { compareWithDifferences, compareWithGolden } from './check-gradient.ts';
import { differentiableOperators, gradientCases } from './gradient-cases.ts';

const mutations = [
  { name: 'sign flipped', factor: -1 },
  { name: 'doubled', factor: 2 },
] as const;
const checks = { golden: compareWithGolden, differences: compareWithDifferences };

function damage(operator: Operator, input: number, factor: number): Operator {
  return {
    ...operator,
    gradient(context: GradientContext, attributes: unknown) {
      const rules = operator.gradient?.(context, attributes) ?? [];
      return rules.map((rule, index) => {
        if (index !== input) return rule;
        return () => {
          const gradient = rule();
          return mul(gradient, scalar(gradient, factor));
        };
      });
    },
  };
}

const green: string[] = [];
let tried = 0;
for (const name of differentiableOperators) {
  const cases = gradientCases.filter(({ operator }) => operator === name);
  const inputs = new Set(cases.flatMap(({ wanted }) => wanted));
  if (inputs.size === 0) green.push(`${name}: no case tests it`);
  for (const input of inputs) {
    for (const mutation of mutations) {
      const table: OperatorTable = { ...operators, [name]: damage(operators[name], input, mutation.factor) };
      for (const [check, compare] of Object.entries(checks)) {
        tried++;
        const noticed = await anyAsync(cases, async (test) => (await compare(test, table, 'cpu')).length > 0);
        if (!noticed) green.push(`${name}, gradient of input ${input} ${mutation.name}: ${check} stayed green`);
      }
    }
  }
}
process.stdout.write(
  `${tried} damaged rules tried; rules whose tests stayed green: ${green.length === 0 ? 'none' : ''}\n`,
);
for (const line of green) process.stdout.write(`${line}\n`);
process.exitCode = green.length === 0 ? 0 : 1;

async function anyAsync<T>(items: readonly T[], test: (item: T) => Promise<boolean>): Promise<boolean> {
  for (const item of items) if (await test(item)) return true;
  return false;
}
