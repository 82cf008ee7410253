"""The tasks of this release, by name."""

from __future__ import annotations

from edgenode.tasks.activity import ACTIVITY
from edgenode.tasks.cifar10 import CIFAR10
from edgenode.tasks.task import Task, TaskError

TASKS = {task.name: task for task in (ACTIVITY, CIFAR10)}


def find_task(name: str) -> Task:
    """Return the task of that name.

    Raises:
        TaskError: There is none.
    """
    try:
        return TASKS[name]
    except KeyError:
        known = ", ".join(sorted(TASKS))
        raise TaskError(f'there is no task "{name}"; there are: {known}') from None
