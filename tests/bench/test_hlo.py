"""What is read from a program's text: small ones by hand, and what the CPU compiler writes."""

import jax
import jax.numpy as jnp
import pytest

from gair_jax.bench import hlo, kernels
from gair_jax.bench.kernels import Count

# As the GPU compiler writes them: a call of cuBLASLt with space to work in, attention forward and
# backward, an unfused copy, and instructions that start nothing.
CALLS = """HloModule jit_step, is_scheduled=true, entry_computation_layout={(f32[2]{0})->f32[2]{0}}

%fused_add (param_0: bf16[8,4]) -> bf16[8,4] {
  %param_0 = bf16[8,4]{1,0} parameter(0)
  ROOT %add.1 = bf16[8,4]{1,0} add(%param_0, %param_0), metadata={op_name="jit(step)/optimizer/add"}
}

ENTRY %main.9 (x.1: bf16[8,4], w.1: bf16[4,16], /*index=2*/q.1: bf16[2,6,3,8]) -> bf16[8,16] {
  %x.1 = bf16[8,4]{1,0} parameter(0)
  %w.1 = bf16[4,16]{1,0} parameter(1)
  %q.1 = bf16[2,6,3,8]{3,2,1,0} parameter(2)
  %bitcast.1 = bf16[4,16]{1,0} bitcast(%w.1)
  %fusion.1 = bf16[8,4]{1,0} fusion(%x.1), kind=kLoop, calls=%fused_add, metadata={op_name="jit(step)/optimizer/add"}
  %copy.1 = bf16[8,4]{0,1} copy(%fusion.1)
  %gemm.1 = (bf16[8,16]{1,0}, s8[4096]{0}) custom-call(%copy.1, %bitcast.1), custom_call_target="__cublas$lt$matmul", backend_config={"gemm_backend_config":{"dot_dimension_numbers":{"lhs_contracting_dimensions":["1"],"rhs_contracting_dimensions":["0"]}}}
  %fmha.1 = (bf16[2,3,6,8]{3,1,2,0}, f32[2,3,6]{2,1,0}, u8[0]{0}) custom-call(%q.1, %q.1, %q.1), custom_call_target="__cudnn$fmhaSoftmax"
  %o.1 = bf16[2,3,6,8]{3,1,2,0} get-tuple-element(%fmha.1), index=0
  %l.1 = f32[2,3,6]{2,1,0} get-tuple-element(%fmha.1), index=1
  %fmha.2 = (bf16[2,3,6,8]{3,1,2,0}, bf16[2,3,6,8]{3,1,2,0}, bf16[2,3,6,8]{3,1,2,0}, u8[64]{0}) custom-call(%q.1, %q.1, %q.1, %l.1, %o.1, /*index=5*/%o.1), custom_call_target="__cudnn$fmhaSoftmaxBackward"
  %empty.1 = f32[5,0]{1,0} constant({})
  %copy.2 = f32[5,0]{1,0} copy(%empty.1)
  ROOT %out.1 = bf16[8,16]{1,0} get-tuple-element(%gemm.1), index=0
}
"""  # noqa: E501


def test_each_class_is_counted_with_operands_and_results_once():
    found = kernels.found(hlo.parse(CALLS))
    assert [k.instruction.name for k in found] == [
        'fusion.1', 'copy.1', 'gemm.1', 'fmha.1', 'fmha.2',
    ]  # fmt: skip
    # 8 x 4 in bfloat16 is 64 bytes: read and written twice.
    assert kernels.counts(found) == {
        'other': Count(2, 4 * 64, 0),
        # 8 x 4, 4 x 16 and 8 x 16; not the space to work in.
        'product': Count(1, 2 * (32 + 64 + 128), 2 * 8 * 4 * 16),
        # q, o and the log-sum-exp of 36 rows; then both and three slopes. 2 + 5 products.
        'attention': Count(2, 576 + 576 + 144 + 2 * 576 + 144 + 3 * 576, 7 * 2 * 36 * 6 * 8),
    }
    assert found[0].instruction.origin == 'jit(step)/optimizer/add'
    assert found[2].number == 'bf16'


def test_the_fastest_axis_of_large_arrays_is_looked_at():
    found = kernels.found(hlo.parse(CALLS))
    assert kernels.innermost(found, 8, 32) == [
        'copy.1 bf16[8, 4]', 'fmha.1 bf16[2, 3, 6, 8]', *['fmha.2 bf16[2, 3, 6, 8]'] * 3
    ]  # fmt: skip
    assert not kernels.innermost(found, 8, 1000)


LOOP = """HloModule jit_loop, is_scheduled=true

%write (param_0.1: f32[5,64], param_1.1: f32[64], param_2.1: s32[]) -> f32[5,64] {
  %param_0.1 = f32[5,64]{1,0} parameter(0)
  %param_1.1 = f32[64]{0} parameter(1)
  %row.1 = f32[1,64]{1,0} bitcast(%param_1.1)
  %param_2.1 = s32[] parameter(2)
  %zero.1 = s32[] constant(0)
  ROOT %dus.1 = f32[5,64]{1,0} dynamic-update-slice(%param_0.1, %row.1, %param_2.1, %zero.1)
}

%read (param_0.2: f32[5,64], param_1.2: s32[]) -> f32[64] {
  %param_0.2 = f32[5,64]{1,0} parameter(0)
  %param_1.2 = s32[] parameter(1)
  %zero.2 = s32[] constant(0)
  %ds.1 = f32[1,64]{1,0} dynamic-slice(%param_0.2, %param_1.2, %zero.2), dynamic_slice_sizes={1,64}
  ROOT %exp.1 = f32[64]{0} bitcast(%ds.1)
}

%body (s.1: (s32[], f32[5,64])) -> (s32[], f32[5,64]) {
  %s.1 = (s32[], f32[5,64]{1,0}) parameter(0)
  %i.1 = s32[] get-tuple-element(%s.1), index=0
  %x.1 = f32[5,64]{1,0} get-tuple-element(%s.1), index=1
  %read.1 = f32[64]{0} fusion(%x.1, %i.1), kind=kLoop, calls=%read
  %write.1 = f32[5,64]{1,0} fusion(%x.1, %read.1, %i.1), kind=kLoop, calls=%write
  ROOT %t.1 = (s32[], f32[5,64]{1,0}) tuple(%i.1, %write.1)
}

%condition (s.2: (s32[], f32[5,64])) -> pred[] {
  %s.2 = (s32[], f32[5,64]{1,0}) parameter(0)
  %i.2 = s32[] get-tuple-element(%s.2), index=0
  %bound.1 = s32[] constant(5)
  ROOT %less.1 = pred[] compare(%i.2, %bound.1), direction=LT
}

ENTRY %main.1 (s.3: (s32[], f32[5,64])) -> (s32[], f32[5,64]) {
  %s.3 = (s32[], f32[5,64]{1,0}) parameter(0)
  ROOT %while.1 = (s32[], f32[5,64]{1,0}) while(%s.3), condition=%condition, body=%body
}
"""


def test_a_loop_counts_as_often_as_it_runs_and_a_slice_for_itself():
    found = kernels.found(hlo.parse(LOOP))
    assert {k.instruction.name: (k.times, k.bytes) for k in found} == {
        # A row of 256 bytes and the index in, a row out; never the 1280 bytes of all rows.
        'read.1': (5, 256 + 4 + 256),
        'write.1': (5, 256 + 4 + 256),
        'less.1': (5, 4 + 4 + 1),
    }


def test_what_the_compiler_says_of_a_loop_goes_before_its_condition():
    known = LOOP.replace(
        'body=%body\n', 'body=%body, backend_config={"known_trip_count":{"n":"7"}}\n'
    )
    assert {k.times for k in kernels.found(hlo.parse(known))} == {7}
    unknown = LOOP.replace('constant(5)', 'add(%i.2, %i.2)')
    with pytest.raises(ValueError, match=r'while\.1: how often it runs'):
        kernels.found(hlo.parse(unknown))


def test_the_products_of_a_program_of_the_cpu_compiler():
    def loss(a, b):
        y, _ = jax.lax.scan(lambda x, _: (jnp.tanh(x @ b), None), a, None, length=3)
        return jnp.sum(y)

    a, b = jnp.ones((16, 32)), jnp.ones((32, 32))
    text = jax.jit(jax.grad(loss, 1)).lower(a, b).compile().as_text()
    count = kernels.counts(kernels.found(hlo.parse(text)))['product']
    # Three times forward and for b, two or three times for a: its first slope is not asked for.
    one = 2 * 16 * 32 * 32
    assert count.flops in (8 * one, 9 * one)
    assert count.kernels == count.flops // one
