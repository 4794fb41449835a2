package io.github.ddpm4j.internal.files;

import io.github.ddpm4j.internal.files.WatchedFiles.Change;
import io.github.ddpm4j.internal.files.WatchedFiles.Operation;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * What may be on the disk when the power is lost after some changes. Bytes that were not forced may
 * be there, missing, cut in half, zero or wrong; names that were not forced may be there or not,
 * the newest first.
 */
public final class PowerLoss {

  /** What becomes of bytes that were not forced. */
  public enum Bytes {
    KEPT,
    LOST,
    HALVED,
    ZEROED,
    FLIPPED
  }

  private static final class Inode {
    private final ByteArrayOutputStream written = new ByteArrayOutputStream();
    private int forced;

    byte[] after(Bytes damage) {
      byte[] all = written.toByteArray();
      int loose = all.length - forced;
      return switch (damage) {
        case KEPT -> all;
        case LOST -> Arrays.copyOf(all, forced);
        case HALVED -> Arrays.copyOf(all, forced + loose / 2);
        case ZEROED -> {
          Arrays.fill(all, forced, all.length, (byte) 0);
          yield all;
        }
        case FLIPPED -> {
          if (loose > 0) {
            all[forced + loose / 2] ^= 4;
          }
          yield all;
        }
      };
    }
  }

  private final Set<Path> folders;
  private final Map<Path, byte[]> files;

  private PowerLoss(Set<Path> folders, Map<Path, byte[]> files) {
    this.folders = folders;
    this.files = files;
  }

  /**
   * The states after the first changes, each different one once.
   *
   * @param before the files that were there at the beginning, all of them on the disk
   * @param changes what has happened
   * @param count how many of the changes
   */
  public static List<PowerLoss> after(Map<Path, byte[]> before, List<Change> changes, int count) {
    Map<Path, Inode> names = new LinkedHashMap<>();
    before.forEach(
        (path, bytes) -> {
          Inode inode = new Inode();
          inode.written.writeBytes(bytes);
          inode.forced = bytes.length;
          names.put(path, inode);
        });
    Set<Path> folders = new LinkedHashSet<>();
    // The names as they were before each change of a name that no folder's force has confirmed.
    List<Map<Path, Inode>> undone = new ArrayList<>();
    List<Path> changedIn = new ArrayList<>();
    for (Change change : changes.subList(0, count)) {
      Path file = change.file();
      switch (change.operation()) {
        case WRITE -> names.get(file).written.writeBytes(change.bytes());
        case SYNC -> {
          Inode inode = names.get(file);
          if (inode != null) {
            inode.forced = inode.written.size();
          } else {
            confirm(file, undone, changedIn);
          }
        }
        // The loss of a folder takes everything in it along: no state of its own.
        case MAKE_FOLDER -> folders.add(file);
        case OPEN, MOVE, DELETE -> {
          undone.add(new LinkedHashMap<>(names));
          changedIn.add(change.target().getParent());
          if (change.operation() == Operation.OPEN) {
            names.putIfAbsent(file, new Inode());
          } else {
            Inode inode = names.remove(file);
            if (change.operation() == Operation.MOVE) {
              names.put(change.target(), inode);
            }
          }
        }
        case MAY_WRITE, LOCK, READ ->
            throw new IllegalArgumentException(change + " changes nothing");
      }
    }
    List<PowerLoss> states = new ArrayList<>();
    List<Map<Path, Inode>> possible = new ArrayList<>(undone);
    possible.add(names);
    for (Map<Path, Inode> survived : possible) {
      for (Bytes damage : Bytes.values()) {
        Map<Path, byte[]> files = new LinkedHashMap<>();
        survived.forEach((path, inode) -> files.put(path, inode.after(damage)));
        states.add(new PowerLoss(folders, files));
      }
    }
    return states;
  }

  /** A folder that was forced has the changes of its names; older ones of others came before. */
  private static void confirm(Path folder, List<Map<Path, Inode>> undone, List<Path> changedIn) {
    for (int i = changedIn.size() - 1; i >= 0; i--) {
      if (changedIn.get(i).equals(folder)) {
        undone.subList(0, i + 1).clear();
        changedIn.subList(0, i + 1).clear();
        return;
      }
    }
  }

  /** Makes the state in a folder of the machine, under the names that the files had. */
  public void write(Path root, Path in) throws IOException {
    Files.createDirectories(in);
    for (Path folder : folders) {
      Files.createDirectories(in.resolve(root.relativize(folder).toString()));
    }
    for (Map.Entry<Path, byte[]> file : files.entrySet()) {
      Path target = in.resolve(root.relativize(file.getKey()).toString());
      Files.createDirectories(target.getParent());
      Files.write(target, file.getValue());
    }
  }

  /** What tells two states apart. */
  public String key() {
    StringBuilder key = new StringBuilder();
    files.forEach((path, bytes) -> key.append(path).append(Arrays.hashCode(bytes)).append(';'));
    return key.toString();
  }
}
