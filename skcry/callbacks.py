"""Callbacks of scikit-learn, such as its ``ProgressBar``, on what takes long here; nothing where it has none (< 1.9).

An estimator announces its tasks: a detector its fits, a network its epochs. Who listens is ``sklearn.callback``'s
business.
"""

import contextlib

try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:

    class _Unheard:
        """Tasks that nobody listens to."""

        def subcontext(self, **about):
            return self

        def call_on_fit_task_begin(self, **about):
            return self

        def call_on_fit_task_end(self, **about):
            return False

        def propagate_callback_context(self, estimator):
            return contextlib.nullcontext()

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stand-in for the one of scikit-learn 1.9."""

        def _init_callback_context(self, **about):
            return _Unheard()


@contextlib.contextmanager
def task(parent, owner, name, estimator=None):
    """Announce a part of a fit; an estimator that is fitted within announces its own parts under it.

    Parameters
    ----------
    parent : CallbackContext
        Of the fit.
    owner : estimator
        Whose fit it is.
    name : str
        What listeners call the part.
    estimator : estimator or None, default=None
        What is fitted within.
    """
    context = parent.subcontext(task_name=name)
    hands_on = estimator is not None and hasattr(estimator, "set_callbacks")
    with context.propagate_callback_context(estimator) if hands_on else contextlib.nullcontext():
        context.call_on_fit_task_begin(estimator=owner)
        yield
        context.call_on_fit_task_end(estimator=owner)
