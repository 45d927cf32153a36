"""The device that the running backend computes on."""

import keras


def device_name() -> str:
    """Return the kind and name of the device that this process computes on, such as "cpu: cpu"."""
    match keras.backend.backend():
        case "jax":
            import jax

            device = jax.devices()[0]
            return f"{device.platform}: {device.device_kind}"
        case "tensorflow":
            import tensorflow as tf

            gpus = tf.config.list_physical_devices("GPU")
            if gpus:
                name = tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU")
                return f"gpu: {name}"
            return "cpu: cpu"
        case _:
            import torch

            if torch.cuda.is_available():
                return f"gpu: {torch.cuda.get_device_name()}"
            return "cpu: cpu"
