import java.io.BufferedReader;
import java.io.File;
import java.io.FileOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.security.Permission;
import java.util.Arrays;

/**
 * Runs programs one after the other in this JVM, which saves the start of one for each. A line of the input is one run:
 * the file for its output, the class, and the arguments, with tabs between. The standard output tells the runs that
 * failed, each by the number of its line from 0.
 */
public final class Tools {
    private static boolean done;

    /** Stands for the end of a program. */
    private static final class Exit extends SecurityException {
        final int code;

        Exit(int code) {
            this.code = code;
        }
    }

    @SuppressWarnings("removal")
    private static void holdExits() {
        System.setSecurityManager(new SecurityManager() {
            @Override
            public void checkPermission(Permission permission) {}

            @Override
            public void checkPermission(Permission permission, Object context) {}

            @Override
            public void checkExit(int code) {
                if (!done) throw new Exit(code);
            }
        });
    }

    public static void main(String[] none) throws Exception {
        PrintStream told = System.out;
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, "UTF-8"));
        holdExits();
        int number = 0;
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            if (run(line.split("\t")) != 0) told.println(number);
            number++;
        }
        told.flush();
        done = true;
        // Cassandra leaves threads behind.
        Runtime.getRuntime().halt(0);
    }

    private static int run(String[] words) throws Exception {
        try (PrintStream out = new PrintStream(new FileOutputStream(new File(words[0])), false, "UTF-8")) {
            System.setOut(out);
            String[] args = Arrays.copyOfRange(words, 2, words.length);
            Class.forName(words[1]).getMethod("main", String[].class).invoke(null, (Object) args);
            return 0;
        } catch (InvocationTargetException e) {
            if (e.getCause() instanceof Exit) return ((Exit) e.getCause()).code;
            e.getCause().printStackTrace();
            return 1;
        }
    }
}
