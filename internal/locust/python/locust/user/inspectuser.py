"""How often each task is run: the ratios of --show-task-ratio and of the reports."""

from collections import Counter
from json import dumps

from .task import TaskSet


def print_task_ratio(user_classes, num_users, total):
    """Prints the ratios as an indented table."""
    _print(get_ratio(user_classes, _calc_distribution(user_classes, num_users), total))


def print_task_ratio_json(user_classes, num_users):
    """Prints the ratios of each class and of the whole as JSON."""
    spread = _calc_distribution(user_classes, num_users)
    both = {"per_class": get_ratio(user_classes, spread, False), "total": get_ratio(user_classes, spread, True)}
    print(dumps(both, indent=4))


def _calc_distribution(user_classes, num_users):
    fixed = sum(each.fixed_count for each in user_classes if each.fixed_count)
    weights = sum(each.weight for each in user_classes if not each.fixed_count)
    num_users = num_users or (1 if fixed else weights)
    rest = max(0, num_users - fixed)
    return {each.__name__: round(each.fixed_count or each.weight / weights * rest) for each in user_classes}


def _print(ratios, level=0):
    padding = "  " * level
    for name, entry in ratios.items():
        print(" %-10s %-50s" % (padding + "%-6.1f" % (entry.get("ratio", 1) * 100), padding + name))
        _print(entry.get("tasks", {}), level + 1)


def get_ratio(user_classes, user_spawned, total):
    """The ratio of each class and, inside, of its tasks: of the class's own, or of all when total is true."""
    users = sum(user_spawned.values()) or 1
    ratios = {}
    for each in user_classes:
        share = user_spawned.get(each.__name__, 0) / users
        ratios[each.__name__] = {"ratio": share, "tasks": _ratios_of(each.tasks, total, share)}
    return ratios


def _ratios_of(tasks, total, parent):
    ratios = {}
    for each, count in Counter(tasks).items():
        share = count * (parent if total else 1.0) / len(tasks)
        ratios[each.__name__] = {"ratio": share}
        if isinstance(each, type) and issubclass(each, TaskSet):
            ratios[each.__name__]["tasks"] = _ratios_of(each.tasks, total, share)
    return ratios
