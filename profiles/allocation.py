"""The memory allocator that models are measured under, and therefore served under.

glibc gives memory back to the system whenever the top of its heap is free, and takes large blocks from the system anew:
at every large tensor a process then waits for the kernel to clear its pages. Whether that happens depends on what
else the process holds, so a stage timed by itself and the same stage inside a batch took times 15 to 24 % apart.
"""

# The most that may lie free before it is given back, and no block from the system by itself. Not a threshold for such
# blocks: glibc before 2.35 refuses one above 32 MiB. Other allocators ignore both.
KEEP_MEMORY = {"MALLOC_TRIM_THRESHOLD_": "1000000000", "MALLOC_MMAP_MAX_": "0"}
