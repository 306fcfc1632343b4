"""Stacks from profilers: read, folded, and reduced to what the benchmark did."""

from collections import Counter

from benchyard.tasks.folding import benchmark_stacks, fold_perf_script, format_folded, merged, parse_folded

PERF = """python 15339
\t          112890 float_dealloc (/opt/python/lib/libpython3.13.so.1.0)
\t    7fb7808f0b10 py::bench_nbody:/opt/benchmarks/bm_nbody/run_benchmark.py+0x2 (/tmp/perf-15339.map)
\t           8fac4 _PyEval_EvalFrameDefault+0x1f4 (/opt/python/lib/libpython3.13.so.1.0)
\t    7fb7808f0bc0 py::WorkerTask._compute_values:/env/lib/pyperf/_worker.py (/tmp/perf-15339.map)
\t    7fff2d3dd380 [unknown] ([unknown])

python 15339
\t           6f3f1 [unknown] (/usr/lib/x86_64-linux-gnu/libm.so.6)

python 15273
\t    7fff2d3dd380 [unknown] ([unknown])

"""


def test_perf_script() -> None:
    """The outermost frame goes first; trampolines are named as py-spy names functions, and offsets are dropped."""
    assert fold_perf_script(PERF) == {
        (
            "WorkerTask._compute_values (pyperf/_worker.py)",
            "_PyEval_EvalFrameDefault",
            "bench_nbody (bm_nbody/run_benchmark.py)",
            "float_dealloc",
        ): 1,
        ("[libm.so.6]",): 1,
    }


def test_benchmark_of_perf() -> None:
    """What pyperf does around the benchmark is left out, and a stack that is cut off is the benchmark's."""
    assert benchmark_stacks(fold_perf_script(PERF)) == {
        ("_PyEval_EvalFrameDefault", "bench_nbody (bm_nbody/run_benchmark.py)", "float_dealloc"): 1,
        ("[libm.so.6]",): 1,
    }


def test_benchmark_of_py_spy() -> None:
    """A worker's beginning is left out; the benchmark's own threads and processes are not."""
    worker = 'process 13578:"python run_benchmark.py --worker"'
    main = ("<module> (run_benchmark.py:148)", "Runner.bench_time_func (pyperf/_runner.py:500)")
    call = ("WorkerTask._compute_values (pyperf/_worker.py:46)", "task_func (pyperf/_runner.py:496)")
    stacks = {
        (worker, *main, *call, "bench_nbody (run_benchmark.py:123)", "advance (run_benchmark.py:78)"): 5,
        (worker, *main, *call): 1,
        (worker, *main, "collect_metadata (pyperf/_worker.py:382)"): 2,
        (worker, "<module> (run_benchmark.py:1)", "_find_and_load (<frozen importlib._bootstrap>:1165)"): 3,
        (worker, "_find_and_load (<frozen importlib._bootstrap>:1165)", "<module> (site.py:1)"): 4,
        (worker, "_bootstrap (threading.py:1)", "serve (run_benchmark.py:9)"): 6,
        ('process 2:"python other.py"', "<module> (other.py:1)"): 7,
        (worker,): 8,
    }
    assert benchmark_stacks(stacks) == {
        ("bench_nbody (run_benchmark.py:123)", "advance (run_benchmark.py:78)"): 5,
        ("_bootstrap (threading.py:1)", "serve (run_benchmark.py:9)"): 6,
        ("<module> (other.py:1)",): 7,
    }


def test_folded_text() -> None:
    """What is written is read back; frames lose what would end them, and lines that are no stacks are left out."""
    stacks = Counter({("main (a b.py:1)", "f"): 3, ("main (a b.py:1)",): 10})
    assert format_folded(stacks) == "main (a b.py:1) 10\nmain (a b.py:1);f 3\n"
    assert parse_folded(format_folded(stacks)) == stacks
    assert format_folded({("a;b\nc",): 1, (): 4, ("d",): 0}) == "a:b c 1\n"
    assert parse_folded("nothing\n\na;b -1\na;b x\n;\n") == {}


def test_merging() -> None:
    """Stacks of several processes add up."""
    assert merged([{("a",): 1}, {("a",): 2, ("b",): 1}, {}]) == {("a",): 3, ("b",): 1}
