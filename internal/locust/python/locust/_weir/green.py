"""The greenlet way: fibers are greenlets in one thread. The cheapest way, but foreign code that blocks stops everybody."""

import greenlet

from .fibers import Fiber, Hub


class Green(Fiber, greenlet.greenlet):
    """A fiber that is a greenlet. Its end leads back to the main greenlet, which runs the loop."""

    def __init__(self, hub, target, args, kwargs, user):
        greenlet.greenlet.__init__(self, parent=hub.root)
        Fiber.__init__(self, target, args, kwargs, user)
        self.hub = hub


class GreenHub(Hub):
    """Switches between greenlets."""

    name = "greenlet"

    def __init__(self, channel, deliver):
        super().__init__(channel, deliver)
        self.root = greenlet.getcurrent()

    def current(self):
        me = greenlet.getcurrent()
        return me if isinstance(me, Green) else None

    def spawn(self, target, *args, user=None, **kwargs):
        fiber = Green(self, target, args, kwargs, self.inherited() if user is None else user)
        self.ready.append(fiber)
        if self.polling:
            self.channel.poke()
        return fiber

    def hand_over(self, me):
        following = self.next()
        self.switches += 1
        if following is me:
            return
        if following.started:
            following.switch()
        else:
            # Subtle: a new greenlet begins at the depth of the one that starts it, and counts it towards the recursion
            # limit for ever. So all begin from the main greenlet.
            self.root.switch(following)

    def main(self, target):
        first = self.spawn(target)
        following = None
        while not first.done:
            # What comes back: None from one that has ended, or the new one that is to be started.
            following = (self.next() if following is None else following).switch()
            self.switches += 1
        if first.error is not None:
            raise first.error
