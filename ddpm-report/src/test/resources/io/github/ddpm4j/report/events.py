"""Writes events.hex, which EventFileTest compares with: python events.py (tensorboard 2.21.0, protobuf 7.36.2)."""

import io

from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.summary.writer.record_writer import RecordWriter

file = io.BytesIO()
writer = RecordWriter(file)


def write(**fields):
    writer.write(event_pb2.Event(**fields).SerializeToString())


Value = summary_pb2.Summary.Value
write(wall_time=1_700_000_000.5, file_version="brain.Event:2")
write(wall_time=1_700_000_001, step=301, session_log=event_pb2.SessionLog(status=event_pb2.SessionLog.START))
write(
    wall_time=1_700_000_002.25,
    step=300,
    summary=summary_pb2.Summary(
        value=[Value(tag="loss", simple_value=0.25), Value(tag="gradient_norm", simple_value=1e-3)]
    ),
)
image = summary_pb2.Summary.Image(height=100, width=200, colorspace=3, encoded_image_string=b"\x89\x01")
write(wall_time=1_700_000_003, step=5_000_000_000, summary=summary_pb2.Summary(value=[Value(tag="samples", image=image)]))
with open("events.hex", "w") as out:
    out.write(file.getvalue().hex() + "\n")
